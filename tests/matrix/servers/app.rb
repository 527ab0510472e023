# The application in Ruby's WEBrick: `ruby app.rb PORT`.
require "digest"
require "json"
require "stringio"
require "webrick"
require "zlib"

LARGE = (0...(1 << 20)).map { |n| n % 251 }.pack("C*")

# WEBrick knows no answer to these methods by itself.
class App < WEBrick::HTTPServlet::AbstractServlet
  def service(request, answer)
    answer["content-type"] = "text/plain"
    case request.path
    when "/small.txt" then answer.body = "small\n"
    when "/large.bin"
      answer["content-type"] = "application/octet-stream"
      answer.body = LARGE
    when "/echo" then echo(request, answer)
    when "/cookies"
      answer.cookies << "a=1; Path=/" << "b=2; Path=/"
      answer.body = "cookies\n"
    when "/stream"
      answer.chunked = true
      answer.body = proc { |out| 5.times { |n| out.write("piece #{n}\n") } }
    when "/no-content"
      answer.status = 204
    when "/early"
      answer.status = 413
      answer.body = "too large\n"
    when "/redirect"
      answer.status = 302
      answer["location"] = "/small.txt"
      answer.body = "elsewhere\n"
    when "/etag"
      answer["etag"] = '"v1"'
      if request["if-none-match"] == '"v1"'
        answer.status = 304
      else
        answer.body = "tagged\n"
      end
    when "/gzip"
      answer["content-encoding"] = "gzip"
      answer["vary"] = "accept-encoding"
      answer.body = gzip("gzip\n" * 100)
    else
      answer.status = 404
      answer.body = "missing\n"
    end
  end

  # The same bytes each time.
  def gzip(text)
    out = StringIO.new
    writer = Zlib::GzipWriter.new(out)
    writer.mtime = 1
    writer.write(text)
    writer.close
    out.string
  end

  def echo(request, answer)
    body = request.body || ""
    headers = request.header.transform_values { |values| values }
    answer["content-type"] = "application/json"
    answer.body = JSON.dump(
      method: request.request_method, target: request.unparsed_uri, headers: headers,
      length: body.bytesize, sha256: Digest::SHA256.hexdigest(body)
    )
  end
end

quiet = WEBrick::Log.new(File::NULL)
server = WEBrick::HTTPServer.new(
  BindAddress: "127.0.0.1", Port: ARGV[0].to_i, Logger: quiet, AccessLog: []
)
server.mount("/", App)
trap("TERM") { server.shutdown }
server.start
