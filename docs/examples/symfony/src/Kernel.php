<?php

namespace App;

// Debian's php-symfony-framework-bundle; in a project Composer's autoloader does this.
error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);  // Symfony 5.4 is older than PHP 8.4
require_once '/usr/share/php/Symfony/Bundle/FrameworkBundle/autoload.php';
require_once __DIR__ . '/Reports.php';

use Igor\Worker;
use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpKernel\Kernel as BaseKernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

final class Kernel extends BaseKernel
{
    use MicroKernelTrait;

    public function registerBundles(): iterable
    {
        yield new FrameworkBundle();
    }

    protected function configureContainer(ContainerConfigurator $container): void
    {
        $container->extension('framework', ['secret' => 'change me', 'router' => ['utf8' => true], 'http_method_override' => false]);
        // Reset between two requests, and by the worker between two tasks.
        $container->services()->set(Reports::class)->public()->tag('kernel.reset', ['method' => 'reset']);
        $container->services()->alias('reset', 'services_resetter')->public();
    }

    protected function configureRoutes(RoutingConfigurator $routes): void
    {
        $routes->add('here', '/here/{year<\d+>}')->controller([$this, 'here']);
        $routes->add('there', '/there/{year<\d+>}')->controller([$this, 'there']);
    }

    /** Makes the report in the request. */
    public function here(int $year): JsonResponse
    {
        return new JsonResponse($this->getContainer()->get(Reports::class)->make($year));
    }

    /** Lets the background worker make it. */
    public function there(Request $request, int $year): JsonResponse
    {
        return new JsonResponse(Worker::send('reports', ['year' => $year])->await());
    }

    public function getCacheDir(): string
    {
        return $_SERVER['APP_CACHE'] . '/cache/' . $this->environment;
    }

    public function getLogDir(): string
    {
        return $_SERVER['APP_CACHE'] . '/log';
    }
}
