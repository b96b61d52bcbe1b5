package e2e

import "testing"

// docs/recipes/symfony.md: a kernel of FrameworkBundle, in worker mode and in a background worker.
func TestRecipeSymfony(t *testing.T) {
	t.Parallel()
	debianPHP(t, "Symfony/Bundle/FrameworkBundle/autoload.php", "php-symfony-framework-bundle")
	s := startExample(t, "symfony", "APP_CACHE="+t.TempDir())
	for range 3 {
		// A service that was not reset would count on.
		s.Get("/here/2026").MustBe(200, `{"year":2026,"made":1}`)
		s.Get("/there/2025").MustBe(200, `{"year":2025,"made":1}`)
	}
	s.Get("/there/x").MustContain(404)
	mustBeWell(t, s)
}

// docs/recipes/laravel.md: Laravel 8 as Debian packages it, a request at a time, and a background worker with its container.
func TestRecipeLaravel(t *testing.T) {
	t.Parallel()
	debianPHP(t, "Illuminate/Foundation/Application.php", "php-laravel-framework")
	s := startExample(t, "laravel", "APP_STORAGE="+t.TempDir())
	for range 3 {
		s.Get("/here/2026").MustBe(200, `{"year":2026,"made":1}`)
		s.Get("/there/2025").MustBe(200, `{"year":2025,"made":1}`)
	}
	s.Get("/there/x").MustContain(404)
	mustBeWell(t, s)
}
