// The application in the JDK's own server: `java App.java PORT`.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import java.util.zip.GZIPOutputStream;

public class App {
    static final byte[] LARGE = new byte[1 << 20];

    public static void main(String[] arguments) throws Exception {
        for (int n = 0; n < LARGE.length; n++) {
            LARGE[n] = (byte) (n % 251);
        }
        var address = new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0]));
        var server = HttpServer.create(address, 0);
        server.createContext("/", App::serve);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.start();
    }

    static void serve(HttpExchange exchange) throws IOException {
        var headers = exchange.getResponseHeaders();
        switch (exchange.getRequestURI().getRawPath()) {
            case "/small.txt" -> text(exchange, 200, "small\n");
            case "/large.bin" -> {
                headers.set("content-type", "application/octet-stream");
                send(exchange, 200, LARGE);
            }
            case "/echo" -> {
                headers.set("content-type", "application/json");
                send(exchange, 200, echo(exchange).getBytes("UTF-8"));
            }
            case "/cookies" -> {
                headers.put("set-cookie", List.of("a=1; Path=/", "b=2; Path=/"));
                text(exchange, 200, "cookies\n");
            }
            case "/stream" -> {
                headers.set("content-type", "text/plain");
                exchange.sendResponseHeaders(200, 0);
                try (var body = exchange.getResponseBody()) {
                    for (int n = 0; n < 5; n++) {
                        body.write(("piece " + n + "\n").getBytes());
                        body.flush();
                    }
                }
            }
            case "/no-content" -> {
                exchange.sendResponseHeaders(204, -1);
                exchange.close();
            }
            case "/early" -> text(exchange, 413, "too large\n");
            case "/redirect" -> {
                headers.set("location", "/small.txt");
                text(exchange, 302, "elsewhere\n");
            }
            case "/etag" -> {
                headers.set("etag", "\"v1\"");
                if ("\"v1\"".equals(exchange.getRequestHeaders().getFirst("if-none-match"))) {
                    exchange.sendResponseHeaders(304, -1);
                    exchange.close();
                } else {
                    text(exchange, 200, "tagged\n");
                }
            }
            case "/gzip" -> {
                headers.set("content-type", "text/plain");
                headers.set("content-encoding", "gzip");
                headers.set("vary", "accept-encoding");
                var out = new ByteArrayOutputStream();
                try (var gzip = new GZIPOutputStream(out)) {
                    gzip.write("gzip\n".repeat(100).getBytes());
                }
                send(exchange, 200, out.toByteArray());
            }
            default -> text(exchange, 404, "missing\n");
        }
    }

    static void text(HttpExchange exchange, int status, String body) throws IOException {
        exchange.getResponseHeaders().set("content-type", "text/plain");
        send(exchange, status, body.getBytes());
    }

    static void send(HttpExchange exchange, int status, byte[] body) throws IOException {
        if (exchange.getRequestMethod().equals("HEAD")) {
            exchange.getResponseHeaders().set("content-length", String.valueOf(body.length));
            exchange.sendResponseHeaders(status, -1);
        } else {
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
        }
        exchange.close();
    }

    static String echo(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readAllBytes();
        String headers = exchange.getRequestHeaders().entrySet().stream()
                .map(e -> quoted(e.getKey().toLowerCase(Locale.ROOT)) + ":["
                        + e.getValue().stream().map(App::quoted).collect(Collectors.joining(",")) + "]")
                .collect(Collectors.joining(","));
        String sum;
        try {
            sum = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body));
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IOException(e);
        }
        return "{\"method\":" + quoted(exchange.getRequestMethod())
                + ",\"target\":" + quoted(exchange.getRequestURI().toString())
                + ",\"headers\":{" + headers + "},\"length\":" + body.length
                + ",\"sha256\":" + quoted(sum) + "}";
    }

    static String quoted(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }
}
