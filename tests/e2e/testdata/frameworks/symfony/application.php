<?php

use Igor\TaskFailed;
use Igor\Worker;
use Symfony\Component\EventDispatcher\EventDispatcher;
use Symfony\Component\HttpFoundation\Cookie;
use Symfony\Component\HttpFoundation\File\UploadedFile;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\RedirectResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpFoundation\Session\Session;
use Symfony\Component\HttpFoundation\Session\Storage\NativeSessionStorage;
use Symfony\Component\HttpFoundation\StreamedResponse;
use Symfony\Component\HttpKernel\Controller\ArgumentResolver;
use Symfony\Component\HttpKernel\Controller\ControllerResolver;
use Symfony\Component\HttpKernel\Event\ExceptionEvent;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\Event\TerminateEvent;
use Symfony\Component\HttpKernel\EventListener\ResponseListener;
use Symfony\Component\HttpKernel\EventListener\RouterListener;
use Symfony\Component\HttpKernel\Exception\HttpExceptionInterface;
use Symfony\Component\HttpKernel\HttpKernel;
use Symfony\Component\HttpKernel\KernelEvents;
use Symfony\Component\Routing\Matcher\UrlMatcher;
use Symfony\Component\Routing\RequestContext;
use Symfony\Component\Routing\Route;
use Symfony\Component\Routing\RouteCollection;

/** Controllers, as services: made once, asked for every request. */
final class Shop
{
    public int $terminated = 0;

    public function about(Request $request): Response
    {
        return new JsonResponse(['boot' => $request->attributes->get('_boot'), 'served' => $request->attributes->get('_served'),
            'worker' => $_SERVER['FRANKENPHP_WORKER'] ?? null, 'sapi' => PHP_SAPI, 'secret' => $request->server->get('APP_SECRET'), 'terminated' => $this->terminated]);
    }

    public function greet(string $name, Request $request): Response
    {
        return new Response("Hello $name" . str_repeat('!', $request->query->getInt('loud')));
    }

    /** A basket in the session: each visitor has one. */
    public function basket(Request $request): Response
    {
        $session = $request->getSession();
        $basket = $session->get('basket', []);
        if ($request->isMethod('POST')) {
            $basket[] = $request->request->get('item');
            $session->set('basket', $basket);
            $session->getFlashBag()->add('notice', 'added ' . end($basket));
        }
        return new JsonResponse(['basket' => $basket, 'notice' => $request->isMethod('GET') ? $session->getFlashBag()->get('notice') : []]);
    }

    public function login(Request $request): Response
    {
        $session = $request->getSession();
        $session->migrate(true);
        $session->set('user', $request->request->get('user'));
        $response = new RedirectResponse('/whoami');
        $response->headers->setCookie(Cookie::create('last_user', (string) $request->request->get('user'))->withHttpOnly(true));
        return $response;
    }

    public function whoami(Request $request): Response
    {
        return new JsonResponse(['user' => $request->getSession()->get('user'), 'cookie' => $request->cookies->get('last_user')]);
    }

    public function upload(Request $request): Response
    {
        $seen = [];
        /** @var UploadedFile $file */
        foreach ($request->files->all() as $field => $file) {
            $valid = $file->isValid();
            $moved = $file->move(sys_get_temp_dir(), 'igor-symfony-' . bin2hex(random_bytes(8)));
            $seen[$field] = [$file->getClientOriginalName(), $valid, hash_file('sha256', $moved->getPathname())];
            unlink($moved->getPathname());
        }
        return new JsonResponse(['files' => $seen, 'form' => $request->request->all()]);
    }

    public function json(Request $request): Response
    {
        return new JsonResponse(['got' => $request->toArray(), 'superglobals' => [$_GET, $_POST]]);
    }

    /** Slow work goes to a background worker; what comes back is streamed. */
    public function thumbnails(Request $request): Response
    {
        $task = Worker::send('thumbnails', ['sizes' => array_map('intval', explode(',', (string) $request->query->get('sizes')))]);
        return new StreamedResponse(function () use ($task): void {
            try {
                foreach ($task as $update) {
                    echo $update['size'], "\n";
                    flush();
                }
                echo $task->await(), "\n";
            } catch (TaskFailed $e) {
                echo $e->getReason()->name, ': ', $e->getErrorMessage(), "\n";
            }
        }, 200, ['Content-Type' => 'text/plain']);
    }

    public function breaks(): Response
    {
        throw new DomainException('a controller threw');
    }

    public function leaves(): Response
    {
        exit('left early');
    }
}

function application(): HttpKernel
{
    $shop = new Shop();
    $routes = new RouteCollection();
    foreach (['about' => 'GET', 'basket' => '', 'login' => 'POST', 'whoami' => 'GET', 'upload' => 'POST', 'json' => 'POST', 'thumbnails' => 'GET', 'breaks' => 'GET', 'leaves' => 'GET'] as $name => $method) {
        $routes->add($name, new Route("/$name", ['_controller' => [$shop, $name]], [], [], '', [], $method === '' ? [] : [$method]));
    }
    $routes->add('greet', new Route('/greet/{name}', ['_controller' => [$shop, 'greet']], ['name' => '[a-z]+']));

    $stack = new RequestStack();
    $dispatcher = new EventDispatcher();
    $dispatcher->addSubscriber(new RouterListener(new UrlMatcher($routes, new RequestContext()), $stack, null, null, null, false));
    $dispatcher->addSubscriber(new ResponseListener('UTF-8'));
    $dispatcher->addListener(KernelEvents::REQUEST, function (RequestEvent $event): void {
        $event->getRequest()->setSessionFactory(fn() => new Session(new NativeSessionStorage(['save_path' => sys_get_temp_dir(), 'name' => 'SHOP'])));
    }, 128);
    $dispatcher->addListener(KernelEvents::EXCEPTION, function (ExceptionEvent $event): void {
        $error = $event->getThrowable();
        $status = $error instanceof HttpExceptionInterface ? $error->getStatusCode() : 500;
        $event->setResponse(new JsonResponse(['error' => $error->getMessage()], $status));
    });
    $dispatcher->addListener(KernelEvents::TERMINATE, function (TerminateEvent $event) use ($shop): void {
        $shop->terminated++;
    });
    return new HttpKernel($dispatcher, new ControllerResolver(), $stack, new ArgumentResolver());
}
