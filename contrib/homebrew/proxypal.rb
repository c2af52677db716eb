# brew install --HEAD --formula contrib/homebrew/proxypal.rb && brew services start proxypal
#
# A release brings `url` and `sha256`; until then only --HEAD installs, from the clone that this file
# is in.
class Proxypal < Formula
  desc "One local endpoint for every AI model you are entitled to"
  license "MIT"
  head "file://#{File.expand_path("../..", __dir__)}", using: :git, branch: "main"

  depends_on "python@3.13"

  def install
    system "python3.13", "-m", "venv", libexec
    system libexec/"bin/pip", "install", "--constraint", "constraints.txt", buildpath
    bin.install_symlink libexec/"bin/proxypal"
  end

  service do
    run [opt_bin/"proxypal", "serve"]
    keep_alive successful_exit: false
    environment_variables PATH: std_service_path_env
    log_path var/"log/proxypal.log"
    error_log_path var/"log/proxypal.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/proxypal --version") unless head?
    port = free_port
    pid = spawn bin/"proxypal", "serve", "--port", port.to_s
    sleep 5
    assert_match "proxypal", shell_output("curl -s http://127.0.0.1:#{port}/health")
  ensure
    Process.kill "TERM", pid if pid
  end
end
