<?php

// Checks that the PHP reference shows every function and method of the extension with the signature that it has.
//
//   igor-php -n tests/rules/signatures.php docs/reference/php.md

/** One form for what can be written in several: types of a union in any order, classes with a backslash or without. */
function normal(string $text): string
{
    $text = preg_replace('/(?<![\w\\\\])\\\\(?=[A-Z])/', '', $text);
    return preg_replace_callback('/[\w\\\\]+(\|[\w\\\\]+)+/', function (array $union): string {
        $types = explode('|', $union[0]);
        sort($types);
        return implode('|', $types);
    }, $text);
}

function signature(ReflectionFunctionAbstract $function): string
{
    $parameters = [];
    foreach ($function->getParameters() as $p) {
        $type = $p->getType();
        $default = match (true) {
            !$p->isDefaultValueAvailable() => '',
            $p->isDefaultValueConstant() => ' = ' . $p->getDefaultValueConstantName(),
            $p->getDefaultValue() === [] => ' = []',
            default => ' = ' . strtolower(var_export($p->getDefaultValue(), true)),
        };
        $parameters[] = ($type ? "$type " : '') . "\${$p->getName()}$default";
    }
    $return = $function->getReturnType();
    return $function->getShortName() . '(' . implode(', ', $parameters) . ')' . ($return ? ": $return" : '');
}

$extension = new ReflectionExtension('igor');
$signatures = array_map(signature(...), $extension->getFunctions());
foreach ($extension->getClasses() as $class) {
    foreach ($class->getMethods() as $method) {
        if ($method->class === $class->name && $method->isPublic() && !$method->isConstructor() && !($class->isEnum() && $method->isStatic())) {
            $signatures["$class->name::$method->name"] = signature($method);
        }
    }
}
// Streams are resources, which no type can say; in tables a bar is escaped.
$page = preg_replace(['/\bresource (\$)/', '/\): resource\b/', '/\\\\\|/'], ['$1', ')', '|'], file_get_contents($argv[1]));
$page = normal($page);
$missing = array_filter($signatures, fn(string $s) => !preg_match('/(?<!\w)' . preg_quote(normal($s), '/') . '(?![\w|\\\\])/', $page));
foreach ($missing as $name => $signature) {
    echo "$argv[1] does not show ", is_string($name) ? "$name as " : '', "$signature\n";
}
if (count($signatures) < 40) {
    echo 'only ', count($signatures), " functions and methods were found\n";
}
exit($missing || count($signatures) < 40 ? 1 : 0);
