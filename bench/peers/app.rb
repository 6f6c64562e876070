# The app of Puma (Rack): the routes of app.js.
class App
  HELLO = 'Hello, World!'.freeze
  CHUNK = ("mpserve\n" * 8192).freeze

  def call(env)
    case env['PATH_INFO']
    when '/' then hello
    when '/cpu' then cpu(number(env, 'ms'))
    when '/wait' then wait(number(env, 'ms'))
    when '/bytes' then bytes(number(env, 'n'))
    when '/crash' then exit!(1)
    else text(404, "no route #{env['PATH_INFO']}\n")
    end
  end

  private

  def hello
    [200, { 'content-type' => 'text/plain', 'content-length' => HELLO.bytesize.to_s }, [HELLO]]
  end

  def cpu(ms)
    # CPU time of the thread, because threads wait for the interpreter lock and must not count the wait.
    clock = Process::CLOCK_THREAD_CPUTIME_ID
    finish = Process.clock_gettime(clock) + ms / 1000.0
    nil while Process.clock_gettime(clock) < finish
    text(200, "busy for #{ms} ms\n")
  end

  def wait(ms)
    sleep(ms / 1000.0)
    text(200, "waited #{ms} ms\n")
  end

  def bytes(n)
    chunks = 0.step(n - 1, CHUNK.bytesize).lazy.map { |start| CHUNK.byteslice(0, n - start) }
    [200, { 'content-type' => 'application/octet-stream', 'content-length' => n.to_s }, chunks]
  end

  def text(status, body)
    [status, { 'content-type' => 'text/plain; charset=utf-8', 'content-length' => body.bytesize.to_s }, [body]]
  end

  def number(env, name)
    Integer(env['QUERY_STRING'][/(?:^|&)#{name}=(\d+)/, 1], 10)
  end
end
