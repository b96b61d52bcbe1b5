package container

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The image on a PHP that lies where the official images have it, with few extensions and scripts to add others: it gets
// those of the other path, and serves the same.
func TestImageFromAnOfficialPHP(t *testing.T) {
	imageName(t) // makes the base; skips without docker
	name := os.Getenv("IGOR_OFFICIAL_IMAGE")
	if name == "" {
		official := command(t, "tests/container/base", "official")
		bases := strings.Fields(command(t, "tests/container/base"))
		name = "igor-test-official"
		if err := build(name, official, bases[0]); err != nil {
			t.Fatal(err)
		}
	}
	extensions := func(image string) []string {
		listed := strings.Split(command(t, "docker", "run", "--rm", image, "php-cli", "-r", `echo strtolower(implode("\n", get_loaded_extensions()));`), "\n")
		slices.Sort(listed)
		return listed
	}
	have := extensions(name)
	for _, extension := range extensions(imageName(t)) {
		if !slices.Contains(have, extension) {
			t.Errorf("it lacks %s, which the other PHP has", extension)
		}
	}
	if out := command(t, "docker", "run", "--rm", name, "php-cli", "-r", "echo PHP_BINDIR, ' ', PHP_CONFIG_FILE_SCAN_DIR;"); out !=
		"/usr/local/bin /usr/local/etc/php/conf.d" {
		t.Errorf("its PHP is %q", out)
	}
	mustKnowLanguages(t, name)
	mustServePhotos(t, name)
}
