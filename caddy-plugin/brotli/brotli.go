// Package brotli adds the "br" encoding to Caddy's encode directive, which configurations written for FrankenPHP name
// ("encode zstd br gzip") and which Caddy itself leaves out.
//
// A package of its own, imported by the igor command only: whoever builds a Caddy of their own may have another module
// of the name.
package brotli

import (
	"fmt"
	"strconv"

	"github.com/andybalholm/brotli"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/encode"
)

// defaultQuality compresses about as well as gzip's best, in less time. Higher ones are for files that are compressed once.
const defaultQuality = 4

func init() { caddy.RegisterModule(Brotli{}) }

// Brotli makes brotli encoders.
type Brotli struct {
	// From 1, the fastest, to 11, the smallest. Default: 4.
	Quality int `json:"quality,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Brotli) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.encoders.br", New: func() caddy.Module { return new(Brotli) }}
}

// UnmarshalCaddyfile reads the encoding's line: br [<quality>]
func (b *Brotli) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the encoding's name
	if !d.NextArg() {
		return nil
	}
	quality, err := strconv.Atoi(d.Val())
	if err != nil {
		return d.Errf(`br %q: is not a whole number; write "br 4", or "br" alone`, d.Val())
	}
	b.Quality = quality
	if quality == 0 {
		return d.Err(`br 0: must be between 1 and 11; write "br 4", or "br" alone`)
	}
	if err := b.Validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Validate refuses a quality that is out of range.
func (b *Brotli) Validate() error {
	if b.Quality < 0 || b.Quality > brotli.BestCompression {
		return fmt.Errorf(`br %d: must be between 1 and %d; write "br 4", or "br" alone`, b.Quality, brotli.BestCompression)
	}
	return nil
}

// AcceptEncoding returns the encoding's name in requests and responses.
func (Brotli) AcceptEncoding() string { return "br" }

// NewEncoder returns an encoder, to be used after a Reset.
func (b Brotli) NewEncoder() encode.Encoder {
	quality := b.Quality
	if quality == 0 {
		quality = defaultQuality
	}
	return brotli.NewWriterLevel(nil, quality)
}

var (
	_ encode.Encoding       = (*Brotli)(nil)
	_ caddyfile.Unmarshaler = (*Brotli)(nil)
	_ caddy.Validator       = (*Brotli)(nil)
)
