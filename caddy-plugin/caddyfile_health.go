package igor

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

var healthDirectives = []string{"wedged_after", "stuck_after", "max_lost", "ignore_pools"}

// UnmarshalCaddyfile reads
//
//	igor_health [<matcher>] ready|live {
//	    wedged_after <duration>
//	    stuck_after  <duration>
//	    max_lost     <number>
//	    ignore_pools <name>...
//	}
func (h *HealthHandler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	var err error
	if h.Check, err = oneArg(d, "ready"); err != nil {
		return err
	}
	if err := h.Validate(); err != nil {
		return d.WrapErr(err)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch d.Val() {
		case "wedged_after":
			h.WedgedAfter, err = durationArg(d, "30s")
		case "stuck_after":
			h.StuckAfter, err = durationArg(d, "10m")
		case "max_lost":
			if h.MaxLost, err = intArg(d, "4"); err == nil && h.MaxLost == 0 {
				err = d.Err(`max_lost 0: must be at least 1; write "max_lost 1", or leave it out for 16`)
			}
		case "ignore_pools":
			names := d.RemainingArgs()
			if len(names) == 0 {
				err = d.Err(`ignore_pools: a value is missing; write "ignore_pools mail", or "ignore_pools SCOPE/mail" for the pool of one scope`)
			}
			h.IgnorePools = append(h.IgnorePools, names...)
		default:
			err = unknownDirective(d, "igor_health", healthDirectives, nil)
		}
		if err != nil {
			return err
		}
		if err := h.Validate(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

func parseHealth(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(HealthHandler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

func init() {
	caddy.RegisterModule(HealthHandler{})
	httpcaddyfile.RegisterHandlerDirective("igor_health", parseHealth)
	httpcaddyfile.RegisterDirectiveOrder("igor_health", httpcaddyfile.Before, "respond")
}

var _ caddyfile.Unmarshaler = (*HealthHandler)(nil)
