<?php
// The application in PHP's own server: `php -S 127.0.0.1:PORT app.php`.
$target = $_SERVER['REQUEST_URI'];
$text = fn(int $status, string $body) => [$status, ['content-type: text/plain'], $body];

function echoed(string $target): string {
    $body = file_get_contents('php://input');
    $headers = [];
    foreach (getallheaders() as $name => $value) {
        $headers[strtolower($name)] = [$value];
    }
    return json_encode([
        'method' => $_SERVER['REQUEST_METHOD'], 'target' => $target, 'headers' => (object) $headers,
        'length' => strlen($body), 'sha256' => hash('sha256', $body),
    ], JSON_UNESCAPED_SLASHES);
}

[$status, $headers, $body] = match (explode('?', $target)[0]) {
    '/small.txt' => $text(200, "small\n"),
    '/large.bin' => [200, ['content-type: application/octet-stream'],
        implode('', array_map(fn($n) => chr($n % 251), range(0, (1 << 20) - 1)))],
    '/echo' => [200, ['content-type: application/json'], echoed($target)],
    '/cookies' => [200, ['content-type: text/plain', 'set-cookie: a=1; Path=/', 'set-cookie: b=2; Path=/'], "cookies\n"],
    '/stream' => $text(200, "piece 0\npiece 1\npiece 2\npiece 3\npiece 4\n"),
    '/no-content' => [204, [], ''],
    '/early' => $text(413, "too large\n"),
    '/redirect' => [302, ['content-type: text/plain', 'location: /small.txt'], "elsewhere\n"],
    '/etag' => ($_SERVER['HTTP_IF_NONE_MATCH'] ?? '') === '"v1"'
        ? [304, ['etag: "v1"'], '']
        : [200, ['content-type: text/plain', 'etag: "v1"'], "tagged\n"],
    '/gzip' => [200, ['content-type: text/plain', 'content-encoding: gzip', 'vary: accept-encoding'],
        gzencode(str_repeat("gzip\n", 100))],
    default => $text(404, "missing\n"),
};
header_remove('x-powered-by');
foreach ($headers as $header) {
    header($header, false);
}
http_response_code($status);
echo $body;
