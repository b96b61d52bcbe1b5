package main

import (
	"io"
	"net"
	"net/http"
)

// countingTransport is one connection, and how many bytes have come over it: those of wrk's count, headers and all.
type countingTransport struct {
	received  int64
	transport *http.Transport
}

type countingConn struct {
	net.Conn
	received *int64
}

func (c countingConn) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	*c.received += int64(n)
	return n, err
}

func (t *countingTransport) do(request *http.Request) (body []byte, status int, err error) {
	t.transport = &http.Transport{
		DisableCompression: true,
		Dial: func(network, address string) (net.Conn, error) {
			conn, err := net.Dial(network, address)
			return countingConn{conn, &t.received}, err
		},
	}
	response, err := t.transport.RoundTrip(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return body, response.StatusCode, err
}

func (t *countingTransport) close() { t.transport.CloseIdleConnections() }
