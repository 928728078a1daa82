"use strict";
// The essentials are plain forms. This adds the history, the requests at once, the stream and the console.
(() => {
  const DELAY_MS = 900;
  const KEPT = 8;
  const page = document.body;
  const one = (selector, inside = document) => inside.querySelector(selector);
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

  function element(name, className, text) {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text ?? "";
    return made;
  }

  // What survives a page: the last requests, the fields, and where the page was scrolled to.
  const memory = {
    read(name, otherwise) {
      try { return JSON.parse(sessionStorage.getItem(name)) ?? otherwise; } catch { return otherwise; }
    },
    write(name, value) {
      try { sessionStorage.setItem(name, JSON.stringify(value)); } catch { /* storage is switched off */ }
    },
  };

  const history = one("#history");

  function effectClass(effect) {
    if (effect.startsWith("set")) return "set";
    return effect === "removed" ? "removed" : "alone";
  }

  function showHistory() {
    const entries = memory.read("history", []);
    history.hidden = entries.length === 0;
    one("ol", history).replaceChildren(...entries.map(({ at, what, effect }) => {
      const item = element("li", "");
      item.append(
        element("time", "", at),
        element("span", "what", what),
        element("strong", `effect ${effectClass(effect)}`, effect),
      );
      return item;
    }));
  }

  // What a script has sent is what happened last.
  function report(what, effect) {
    const row = element("li", "");
    row.append(element("span", "", "Cookie, on its response"), element("strong", `effect ${effectClass(effect)}`, effect));
    one("#response .notice").textContent = `${what}.`;
    one("#response .effects").replaceChildren(row);
    note(what, effect);
  }

  function note(what, effect) {
    const at = new Date().toLocaleTimeString([], { hour12: false });
    memory.write("history", [{ at, what, effect }, ...memory.read("history", [])].slice(0, KEPT));
    showHistory();
  }

  async function post(body) {
    const response = await fetch("/session", { method: "POST", body });
    return { response, text: await response.text(), effect: response.headers.get("x-session-cookie") };
  }

  async function operations(ops, delayMs = 0) {
    const { response, text, effect } = await post(JSON.stringify({ ops, delay_ms: delayMs }));
    if (!response.ok) throw new Error(`${response.status}: ${text}`);
    return { results: JSON.parse(text).results, effect };
  }

  // Shows the session as it is now, and leaves the rest of the page alone.
  async function refresh() {
    const response = await fetch("/");
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const part of ["#session", "#login"]) one(part).replaceWith(document.importNode(one(part, fresh), true));
  }

  async function busy(buttons, work) {
    for (const button of buttons) button.disabled = true;
    try { await work(); } finally { for (const button of buttons) button.disabled = false; }
  }

  // Requests at once.
  const race = one("#race");

  function lane(number) {
    const item = element("li", "");
    const track = element("div", "track");
    const bar = element("div", "bar");
    bar.style.transitionDuration = `${DELAY_MS}ms`;
    track.append(bar);
    item.append(element("span", "", `request ${number}`), track, element("span", "", "waits"));
    one(".lanes", race).append(item);
    requestAnimationFrame(() => requestAnimationFrame(() => { bar.style.width = "100%"; }));
    return item;
  }

  async function runLane(number) {
    const item = lane(number);
    try {
      const { results, effect } = await operations([["increment", "counter"]], DELAY_MS);
      item.className = "done";
      item.lastChild.textContent = `saw ${results[0]}`;
      report(`POST /session: increment, request ${number}`, effect);
    } catch {
      item.className = "failed";
      item.lastChild.textContent = "failed";
    }
  }

  function verdict(counter, count) {
    const text = one(".verdict", race);
    const kept = counter === count;
    text.className = `verdict ${kept ? "good" : "bad"}`;
    text.textContent = `${count} increments, counter = ${counter}: ` + (kept
      ? "nothing was lost."
      : page.dataset.serverSide === "true"
        ? "something was lost. This should never happen."
        : "the cookie driver keeps nothing on the server, so the last response won. Try SESSION_DRIVER=memory.");
  }

  async function runRace(count) {
    one(".lanes", race).replaceChildren();
    one(".verdict", race).textContent = "";
    // A session has to be there first: two first visits at once are two sessions.
    await operations([["put", "counter", 0]]);
    await Promise.all(Array.from({ length: count }, (_, index) => runLane(index + 1)));
    const { results } = await operations([["get", "counter"]]);
    verdict(results[0], count);
    await refresh();
  }

  const racers = all("button", race);
  for (const button of racers) {
    button.addEventListener("click", () => busy(racers, () => runRace(Number(button.dataset.requests))));
  }

  // The stream.
  const stream = one("#stream");

  async function runStream() {
    const output = one(".output", stream);
    output.hidden = false;
    output.textContent = "";
    await operations([["forget", "streamed"]]);
    const response = await fetch("/stream");
    report("GET /stream", response.headers.get("x-session-cookie"));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) output.textContent += chunk.value;
    const { results } = await operations([["get", "streamed"]]);
    output.textContent += `The next request reads streamed = ${JSON.stringify(results[0])}`;
    await refresh();
  }

  const streamButton = one("button", stream);
  streamButton.addEventListener("click", () => busy([streamButton], runStream));

  // The console.
  const desk = one("#console");

  function answer(status, text) {
    const output = one(".output", desk);
    output.hidden = false;
    output.textContent = `${status}\n${text}`;
  }

  one("form", desk).addEventListener("submit", async (event) => {
    event.preventDefault();
    const { response, text, effect } = await post(one("textarea", desk).value);
    answer(`${response.status} ${response.statusText} · cookie ${effect}`, text);
    report("POST /session", effect);
    await refresh();
  });

  for (const button of all("[data-get]", desk)) {
    button.addEventListener("click", async () => {
      const response = await fetch(button.dataset.get);
      const effect = response.headers.get("x-session-cookie");
      answer(`${response.status} ${response.statusText} · cookie ${effect}`, await response.text());
      report(`GET ${button.dataset.get}`, effect);
    });
  }

  one("#clear").addEventListener("click", () => {
    memory.write("history", []);
    showHistory();
  });

  // A form's answer is a new page: it looks as it did.
  const fields = () => all("main input[name]:not([type=hidden]), main textarea");
  document.addEventListener("submit", () => {
    memory.write("page", { top: scrollY, fields: fields().map(({ form, name, value }) => [form?.getAttribute("action"), name, value]) });
  });

  function restore() {
    const { top, fields: before } = memory.read("page", { top: 0, fields: [] });
    memory.write("page", null);
    for (const field of fields()) {
      const found = before.find(([action, name]) => action === field.form?.getAttribute("action") && name === field.name);
      if (found) field.value = found[2];
    }
    // A banner stands at the top, where it has to be seen.
    if (!one(".banner")) scrollTo(0, top);
  }

  const { done, doneCookie } = page.dataset;
  const shown = "shown" in page.dataset;
  if (done) note(`POST /${done}`, doneCookie);
  if (shown) note(`POST ${location.pathname}`, one("#response .effect").textContent);
  if (done || shown) {
    // A reload is then a plain visit, and nothing is sent again.
    window.history.replaceState(null, "", "/");
    restore();
  }
  showHistory();
})();
