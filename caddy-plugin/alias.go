package igor

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
)

// FrankenPHP is App under the name that files written for FrankenPHP use: the frankenphp block of a Caddyfile and the
// frankenphp app in JSON. A configuration has one or the other.
type FrankenPHP struct {
	App
}

// CaddyModule returns the Caddy module information.
func (FrankenPHP) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "frankenphp",
		New: func() caddy.Module { return new(FrankenPHP) },
	}
}

// Provision refuses a second block under the other name.
func (f *FrankenPHP) Provision(ctx caddy.Context) error {
	other, err := ctx.AppIfConfigured("igor")
	switch {
	case err == nil:
		return fmt.Errorf(`both an "igor" block%s and a "frankenphp" block%s are given, and they are the same thing; put all settings in one of them`,
			at(other.(*App).Source), at(f.Source))
	case !errors.Is(err, caddy.ErrNotConfigured):
		return err
	}
	return f.App.Provision(ctx)
}

func at(source string) string {
	if source == "" {
		return ""
	}
	return " (" + source + ")"
}

// Interface guards
var (
	_ caddy.App          = (*FrankenPHP)(nil)
	_ caddy.Provisioner  = (*FrankenPHP)(nil)
	_ caddy.CleanerUpper = (*FrankenPHP)(nil)
)
