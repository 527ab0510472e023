// Keeps a copy of all overviews that the page gets, as `heard`, and can cut the page off from its stream.
(() => {
  const real = window.fetch;
  window.heard = [];
  window.apart = false;
  window.cut = () => {};
  const listen = async (copy) => {
    const reader = copy.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const frames = (text + value).split("\n\n");
      text = frames.pop();
      for (const frame of frames) {
        const [kind, data] = ["event: ", "data: "].map((name) => frame.split("\n").find((line) => line.startsWith(name))?.slice(name.length));
        if (kind !== "overview") continue;
        const it = JSON.parse(data);
        if (window.heard.at(-1)?.time_unix_ms !== it.time_unix_ms) window.heard.push(it);
      }
    }
  };
  window.fetch = async (path, options) => {
    if (!String(path).startsWith("/events")) return real(path, options);
    if (window.apart) throw new TypeError("apart");
    const end = new AbortController();
    const answer = await real(path, { ...options, signal: end.signal });
    window.cut = () => end.abort();
    const [own, copy] = answer.body.tee();
    listen(copy).catch(() => {});
    return new Response(own, { status: answer.status, headers: answer.headers });
  };
  // What a chart shows: its labels, and the lines in its own coordinates.
  window.chart = (at) => {
    const it = document.querySelectorAll("figure.chart")[at];
    return {
      title: it.querySelector(".title").textContent,
      top: it.querySelector(".axis span").textContent,
      from: it.querySelector(".time span").textContent,
      lines: [...it.querySelectorAll("path.line")].map((line) => line.getAttribute("d")),
      legend: [...it.querySelectorAll(".keys b")].map((value) => value.textContent),
      spoken: it.querySelector("svg").getAttribute("aria-label"),
      heard: window.heard,
    };
  };
})();
