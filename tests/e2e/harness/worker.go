package harness

import (
	"fmt"
	"strings"
)

// BackgroundWorker is a worker block of the Caddyfile.
func BackgroundWorker(name, file string, lines ...string) string {
	return fmt.Sprintf("worker {\n name %s\n file %s\n background\n %s\n}\n", name, file, strings.Join(lines, "\n "))
}
