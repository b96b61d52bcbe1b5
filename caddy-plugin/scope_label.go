package igor

import (
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// A scope's label is shown in logs, metrics and the admin API, and it is how a reload recognizes a php_server and keeps its
// workers. So it must not change because somebody edits another site: it is the block's name, or its site's first host or
// address, and only blocks that have that in common get their root added, and then a number.

// labelScopes gives every scope its label, once all handlers are provisioned. http is nil when there is no HTTP app.
func labelScopes(scopes []*scopeConfig, http *caddyhttp.App) {
	var sites []*scopeConfig
	for _, s := range scopes {
		if s.handler != nil {
			s.label = siteLabel(s.handler, http)
			sites = append(sites, s)
		}
	}
	// Caddy provisions its servers in no particular order; the numbers are in that of the Caddyfile.
	slices.SortStableFunc(sites, func(a, b *scopeConfig) int { return a.number - b.number })
	for _, group := range sameLabel(sites) {
		for _, s := range group {
			if root := s.handler.Root; root != "" {
				s.label += " " + root
			}
		}
	}
	taken := make(map[string]bool, len(sites))
	for _, s := range sites {
		label := s.label
		for n := 2; taken[s.label]; n++ {
			s.label = label + " #" + strconv.Itoa(n)
		}
		taken[s.label] = true
	}
}

// sameLabel are the groups of scopes that can't be told apart.
func sameLabel(scopes []*scopeConfig) (groups [][]*scopeConfig) {
	byLabel := make(map[string][]*scopeConfig)
	var order []string
	for _, s := range scopes {
		if byLabel[s.label] == nil {
			order = append(order, s.label)
		}
		byLabel[s.label] = append(byLabel[s.label], s)
	}
	for _, label := range order {
		if len(byLabel[label]) > 1 {
			groups = append(groups, byLabel[label])
		}
	}
	return groups
}

// siteLabel is what the handler's site is called.
func siteLabel(h *Handler, http *caddyhttp.App) string {
	if h.Name != "" {
		return h.Name
	}
	if http != nil {
		// A site with several addresses is in several servers: the first by name is the same each time.
		for _, name := range sortedKeys(http.Servers) {
			server := http.Servers[name]
			host, found := hostOf(server.Routes, h)
			switch {
			case !found:
			case host != "":
				return host
			case len(server.Listen) > 0:
				return server.Listen[0]
			}
		}
	}
	if h.ServerIdx != 0 {
		return "php_server " + strconv.Itoa(h.ServerIdx)
	}
	return "php"
}

// hostOf finds the handler below the routes, and the host nearest to it that a request must have to get there.
func hostOf(routes caddyhttp.RouteList, wanted *Handler) (host string, found bool) {
	for _, route := range routes {
		for _, handler := range route.Handlers {
			inner := ""
			switch handler := handler.(type) {
			case *Handler:
				found = handler == wanted || wanted.ServerIdx != 0 && handler.ServerIdx == wanted.ServerIdx
			case *caddyhttp.Subroute:
				inner, found = hostOf(handler.Routes, wanted)
			}
			if !found {
				continue
			}
			if inner != "" {
				return inner, true
			}
			for _, set := range route.MatcherSets {
				for _, matcher := range set {
					if hosts, ok := matcher.(*caddyhttp.MatchHost); ok && len(*hosts) > 0 {
						return (*hosts)[0], true
					}
				}
			}
			return "", true
		}
	}
	return "", false
}
