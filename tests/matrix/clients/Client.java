// The JDK's HttpClient in the matrix: `java Client.java KIND`, KIND is h1 or h2. See ../README.md.
// On a plain connection h2 offers an upgrade to h2c with the first request, as the client does
// unless it is told otherwise. The task comes in lines (LINES below), since the JDK reads no JSON.
import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Scanner;
import java.util.stream.Collectors;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedTrustManager;

public class Client {
    // LINES: the base, then for each case "METHOD TARGET BODY CHUNKED EXPECT COUNT" (BODY is -1
    // for none), followed by COUNT lines "NAME: VALUE".
    public static void main(String[] arguments) throws Exception {
        var lines = new Scanner(System.in);
        var base = lines.nextLine();
        var tls = SSLContext.getInstance("TLS");
        tls.init(null, new TrustManager[] {new Anyone()}, new SecureRandom());
        var version = arguments[0].equals("h1") ? HttpClient.Version.HTTP_1_1 : HttpClient.Version.HTTP_2;
        var client = HttpClient.newBuilder().version(version).sslContext(tls)
                .followRedirects(HttpClient.Redirect.NEVER).connectTimeout(Duration.ofSeconds(5)).build();
        var answers = new ArrayList<String>();
        while (lines.hasNextLine()) {
            var parts = lines.nextLine().split(" ");
            var length = Integer.parseInt(parts[2]);
            var request = HttpRequest.newBuilder().timeout(Duration.ofSeconds(20))
                    .header("user-agent", "matrix").expectContinue(parts[4].equals("true"));
            var encoding = "identity";
            for (int n = Integer.parseInt(parts[5]); n > 0; n--) {
                var header = lines.nextLine().split(": ", 2);
                if (header[0].equals("accept-encoding")) {
                    encoding = header[1];
                } else {
                    request.header(header[0], header[1]);
                }
            }
            request.header("accept-encoding", encoding);
            var body = HttpRequest.BodyPublishers.noBody();
            if (length >= 0) {
                var content = new byte[length];
                for (int n = 0; n < length; n++) {
                    content[n] = (byte) (n % 251);
                }
                request.header("content-type", "application/octet-stream");
                body = parts[3].equals("true")
                        ? HttpRequest.BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(content))
                        : HttpRequest.BodyPublishers.ofByteArray(content);
            }
            String told;
            try {
                request.uri(URI.create(base + parts[1])).method(parts[0], body);
                var answer = client.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
                told = told(answer);
            } catch (Exception error) {
                told = "{\"error\":" + quoted(error.toString()) + "}";
            }
            answers.add(told);
        }
        System.out.println("[" + String.join(",", answers) + "]");
        System.exit(0);
    }

    static String told(HttpResponse<byte[]> answer) throws Exception {
        var body = answer.body();
        var headers = answer.headers().map().entrySet().stream()
                .filter(e -> !e.getKey().startsWith(":"))
                .map(e -> quoted(e.getKey().toLowerCase(Locale.ROOT)) + ":["
                        + e.getValue().stream().map(Client::quoted).collect(Collectors.joining(",")) + "]")
                .collect(Collectors.joining(","));
        var sum = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body));
        var text = body.length < 10_000 ? new String(body, "ISO-8859-1") : "";
        return "{\"status\":" + answer.statusCode() + ",\"headers\":{" + headers + "},\"length\":"
                + body.length + ",\"sha256\":" + quoted(sum) + ",\"text\":" + quoted(text) + "}";
    }

    static String quoted(String text) {
        var out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ' || c > '~') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }

    /** Believes any certificate, and any name. */
    static class Anyone extends X509ExtendedTrustManager {
        public void checkClientTrusted(X509Certificate[] chain, String type) {}
        public void checkServerTrusted(X509Certificate[] chain, String type) {}
        public void checkClientTrusted(X509Certificate[] chain, String type, java.net.Socket socket) {}
        public void checkServerTrusted(X509Certificate[] chain, String type, java.net.Socket socket) {}
        public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
        public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }
}
