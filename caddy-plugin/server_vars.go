package igor

import (
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/igor-php/igor/caddy-plugin/bridge"
	"github.com/igor-php/igor/caddy-plugin/internal/packed"
)

// serverSoftware is $_SERVER['SERVER_SOFTWARE'].
var serverSoftware = func() string {
	version, _ := caddy.Version()
	return "Igor Caddy/" + version
}()

// tlsVersions are the names that Apache's mod_ssl gives protocol versions; PHP code compares with them.
var tlsVersions = map[uint16]string{
	tls.VersionTLS10: "TLSv1",
	tls.VersionTLS11: "TLSv1.1",
	tls.VersionTLS12: "TLSv1.2",
	tls.VersionTLS13: "TLSv1.3",
}

// requestTarget is where a request goes: what the handler knows and the request does not say itself.
type requestTarget struct {
	scope  bridge.Scope
	worker bridge.Pool // of HTTP workers; 0: a thread runs the script for this request
	root   string      // the document root, absolute
	script scriptPath
	// Variables of the configuration, packed and as pairs to pack: those with placeholders are known only now.
	env        []byte
	dynamicEnv []envPair
}

type envPair struct{ key, value string }

// fillRequest writes all that PHP is told of r into d.
//
// $_SERVER is made here, as php-fpm behind a web server would see it, plus what FrankenPHP adds. Everything goes into one
// buffer that is reused, and no header costs an allocation. Later pairs win, so the configuration's variables come last
// and no header of a client can replace them.
func fillRequest(d *bridge.RequestData, r *http.Request, t *requestTarget) {
	ctx := r.Context()
	d.Reset()
	d.SetScope(t.scope)
	if t.worker != 0 {
		d.SetWorker(t.worker)
	}

	uri := r.URL.RequestURI()
	if orig, ok := ctx.Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && orig.URL != nil {
		// What the client asked for, before rewrites: PHP's frameworks route by it.
		uri = orig.URL.RequestURI()
	}
	contentType := first(r.Header["Content-Type"])
	authorization := first(r.Header["Authorization"])
	d.SetString(bridge.ScriptFilename, t.script.filename)
	d.SetString(bridge.Method, r.Method)
	d.SetString(bridge.RequestURI, uri)
	d.SetString(bridge.Query, r.URL.RawQuery)
	d.SetString(bridge.ContentType, contentType)
	d.SetString(bridge.Authorization, authorization)
	d.Begin(bridge.Cookie)
	d.Buf = appendJoined(d.Buf, r.Header["Cookie"], "; ")
	d.End(bridge.Cookie)
	d.SetContentLength(r.ContentLength)
	if r.ProtoMajor == 1 && r.ProtoMinor == 0 {
		d.SetHTTP10()
	}

	d.Begin(bridge.ServerVars)
	d.Pair("GATEWAY_INTERFACE", "CGI/1.1")
	d.Pair("SERVER_SOFTWARE", serverSoftware)
	d.Pair("DOCUMENT_ROOT", t.root)
	d.Pair("SCRIPT_FILENAME", t.script.filename)
	d.Pair("SCRIPT_NAME", t.script.name)
	d.Pair("DOCUMENT_URI", t.script.name)
	d.Pair("PHP_SELF", t.script.name+t.script.pathInfo)
	d.Pair("PATH_INFO", t.script.pathInfo)
	if t.script.pathInfo != "" {
		// RFC 3875 wants it only beside a PATH_INFO.
		d.Pair("PATH_TRANSLATED", caddyhttp.SanitizedPathJoin(t.root, t.script.pathInfo))
	}
	d.Pair("REQUEST_METHOD", r.Method)
	d.Pair("REQUEST_URI", uri)
	d.Pair("QUERY_STRING", r.URL.RawQuery)
	d.Pair("SERVER_PROTOCOL", r.Proto)
	d.Pair("CONTENT_TYPE", contentType)
	if r.ContentLength > 0 || len(r.Header["Content-Length"]) > 0 {
		var digits [20]byte
		n := strconv.AppendInt(digits[:0], max(r.ContentLength, 0), 10)
		d.Buf = packed.AppendString(d.Buf, "CONTENT_LENGTH")
		var at int
		d.Buf, at = packed.Reserve(d.Buf)
		d.Buf = append(d.Buf, n...)
		packed.Patch(d.Buf, at)
	} else {
		d.Pair("CONTENT_LENGTH", "")
	}

	fillConnection(d, r)

	user := ""
	if repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		user, _ = repl.GetString("http.auth.user.id")
	}
	authType := ""
	if user != "" {
		authType, _, _ = strings.Cut(authorization, " ")
	}
	d.Pair("AUTH_TYPE", authType)
	d.Pair("REMOTE_USER", user)
	d.Pair("REMOTE_IDENT", "")

	for name, values := range r.Header {
		if !passesAsVariable(name) {
			continue
		}
		var at int
		d.Buf, at = packed.Reserve(d.Buf)
		d.Buf = appendVariableName(d.Buf, name)
		packed.Patch(d.Buf, at)
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		d.Buf, at = packed.Reserve(d.Buf)
		d.Buf = appendJoined(d.Buf, values, separator)
		packed.Patch(d.Buf, at)
	}
	appendEnv(d, t)
	d.End(bridge.ServerVars)

	d.Begin(bridge.Env)
	appendEnv(d, t)
	d.End(bridge.Env)

	d.Begin(bridge.RequestHeaders)
	d.Pair("Host", r.Host)
	for name, values := range r.Header {
		if name == "Host" || name == "Proxy" {
			continue
		}
		d.Buf = packed.AppendString(d.Buf, name)
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		var at int
		d.Buf, at = packed.Reserve(d.Buf)
		d.Buf = appendJoined(d.Buf, values, separator)
		packed.Patch(d.Buf, at)
	}
	d.End(bridge.RequestHeaders)
}

// fillConnection writes the variables about the two ends of the connection.
func fillConnection(d *bridge.RequestData, r *http.Request) {
	addr, port := splitAddr(r.RemoteAddr)
	d.Pair("REMOTE_ADDR", addr)
	d.Pair("REMOTE_HOST", addr) // no name is looked up: that could take seconds
	d.Pair("REMOTE_PORT", port)

	host, hostPort, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(r.Host, "["), "]")
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if hostPort == "" {
		hostPort = "80"
		if r.TLS != nil {
			hostPort = "443"
		}
	}
	d.Pair("SERVER_NAME", host)
	d.Pair("SERVER_PORT", hostPort)
	d.Pair("HTTP_HOST", r.Host)
	d.Pair("REQUEST_SCHEME", scheme)
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if tcp, ok := local.(*net.TCPAddr); ok {
			d.Pair("SERVER_ADDR", tcp.IP.String())
		} else if ip, _ := splitAddr(local.String()); net.ParseIP(ip) != nil {
			d.Pair("SERVER_ADDR", ip)
		}
	}
	if r.TLS != nil {
		d.Pair("HTTPS", "on")
		d.Pair("SSL_PROTOCOL", tlsVersions[r.TLS.Version])
		if r.TLS.CipherSuite != 0 {
			d.Pair("SSL_CIPHER", tls.CipherSuiteName(r.TLS.CipherSuite))
		}
	}
}

func appendEnv(d *bridge.RequestData, t *requestTarget) {
	d.Buf = append(d.Buf, t.env...)
	for _, e := range t.dynamicEnv {
		d.Pair(e.key, e.value)
	}
}

// passesAsVariable says whether a header becomes an HTTP_ variable.
//
// Proxy does not: programs take HTTP_PROXY for the address of their proxy. Neither does a name with anything but letters,
// digits and hyphens in it: "X_User" and "X.User" would become the HTTP_X_USER that a trusted proxy sets as "X-User".
// Host is left out because HTTP_HOST is the host that the request was routed by.
func passesAsVariable(name string) bool {
	if name == "Proxy" || name == "Host" {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func appendVariableName(dst []byte, header string) []byte {
	dst = append(dst, "HTTP_"...)
	for i := range len(header) {
		c := header[i]
		switch {
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case c == '-':
			c = '_'
		}
		dst = append(dst, c)
	}
	return dst
}

func appendJoined(dst []byte, values []string, separator string) []byte {
	for i, v := range values {
		if i > 0 {
			dst = append(dst, separator...)
		}
		dst = append(dst, v...)
	}
	return dst
}

// splitAddr divides "host:port" leniently: what is not of that form is all host.
func splitAddr(addr string) (host, port string) {
	host = addr
	if h, p, err := net.SplitHostPort(addr); err == nil {
		host, port = h, p
	}
	// An interface's name ("%eth0") is no part of an address to those who compare or parse it.
	host, _, _ = strings.Cut(host, "%")
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), port
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
