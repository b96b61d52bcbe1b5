<?php

// The public API as data: names, parameters, defaults, types, kinds of classes. On the command line, of the
// files that are named, as JSON.

function type_of(?ReflectionType $type): string
{
    return $type === null ? '' : (string) $type;
}

function callable_of(ReflectionFunctionAbstract $function): array
{
    $parameters = [];
    foreach ($function->getParameters() as $p) {
        $parameters[] = type_of($p->getType()) . ' $' . $p->getName() . ($p->isVariadic() ? '...' : '') . ($p->isPassedByReference() ? '&' : '')
            . ($p->isDefaultValueAvailable() ? ' = ' . var_export($p->getDefaultValue(), true) : ($p->isOptional() ? ' = ?' : ''));
    }
    return ['parameters' => $parameters, 'returns' => type_of($function->getReturnType() ?? $function->getTentativeReturnType())];
}

function class_of(ReflectionClass $class): array
{
    $methods = $properties = $cases = [];
    foreach ($class->getMethods(ReflectionMethod::IS_PUBLIC) as $method) {
        // Methods with two underscores are how the fakes refuse what Igor's own classes refuse by themselves.
        if ($method->getDeclaringClass()->getName() === $class->getName() && !str_starts_with($method->getName(), '__')) {
            $methods[$method->getName()] = ($method->isStatic() ? ['static' => true] : []) + callable_of($method);
        }
    }
    foreach ($class->getProperties(ReflectionProperty::IS_PUBLIC) as $property) {
        $properties[$property->getName()] = ($property->isReadOnly() ? 'readonly ' : '') . type_of($property->getType());
    }
    if ($class->isEnum()) {
        foreach ((new ReflectionEnum($class->getName()))->getCases() as $case) {
            $cases[$case->getName()] = $case->getBackingValue();
        }
    }
    ksort($methods);
    $interfaces = $class->getInterfaceNames();
    sort($interfaces);
    return ['parent' => $class->getParentClass() ? $class->getParentClass()->getName() : null, 'interfaces' => $interfaces,
        'final' => $class->isFinal() && !$class->isEnum() /* the engine's own enums do not say so */, 'enum' => $class->isEnum(), 'cases' => $cases, 'properties' => $properties, 'methods' => $methods];
}

function api(array $functions, array $classes): array
{
    $all = [];
    foreach ($functions as $name) {
        $all["$name()"] = callable_of(new ReflectionFunction($name));
    }
    foreach ($classes as $name) {
        $all[$name] = class_of(new ReflectionClass($name));
    }
    ksort($all);
    return $all;
}

if (isset($argv[1]) && realpath($argv[0]) === __FILE__) {
    foreach (array_slice($argv, 1) as $file) {
        require $file;
    }
    // What the package declares when it is asked to; nothing for stubs, which declare it all.
    foreach (['Worker', 'Task', 'TaskState', 'Inbox', 'Job', 'TaskFailed', 'Reason', 'Overflow'] as $class) {
        class_exists("Igor\\$class");
    }
    $ours = fn(string $name): bool => str_starts_with($name, 'Igor\\') && !str_starts_with($name, 'Igor\\Internal\\') && !str_starts_with($name, 'Igor\\Testing\\');
    echo json_encode(api(get_defined_functions()['user'] ? array_values(array_diff(get_defined_functions()['user'], ['type_of', 'callable_of', 'class_of', 'api'])) : [],
        array_values(array_filter(get_declared_classes(), $ours))), JSON_THROW_ON_ERROR);
}
