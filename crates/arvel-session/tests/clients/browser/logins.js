// Logs in again and again, each time while ten other requests of the page are under way.
const [first, rounds, done] = arguments;

const post = (path, body) =>
  fetch(path, { method: "POST", body: new URLSearchParams(body) });

const who = async () => (await fetch("/who")).text();

// A part of the page, which takes a while, and in every second case writes. It may come before the login; or late, with
// the cookie that the login has replaced, and sees an empty session; or after it, with the new one.
async function part(round, index) {
  const write = (round + index) % 2 === 1;
  const wait = (round * 7 + index * 3) % 5;
  const answer = await fetch(`/part?wait=${wait}&write=${write}`);
  if (!answer.ok) return `status ${answer.status}`;
  const { user, note } = await answer.json();
  return user ?? (note ? "before" : "late");
}

// A login as a form does it: a navigation with a redirect, in a frame, so that the page stays.
const submit = (user) =>
  new Promise((logged_in) => {
    const frame = document.createElement("iframe");
    const form = document.createElement("form");
    frame.name = user;
    Object.assign(form, { method: "post", action: "/login", target: user });
    form.innerHTML = `<input name="user" value="${user}">`;
    document.body.append(frame, form);
    frame.addEventListener("load", () => {
      frame.remove();
      form.remove();
      logged_in();
    });
    form.submit();
  });

async function all() {
  const seen = { before: 0, late: 0, after: 0 };
  const lost = [];
  for (let round = first; round < first + rounds; round++) {
    const user = `user-${round}`;
    // A login should start from an existing session.
    await post("/note", { round });
    const parts = [];
    let login;
    for (let index = 0; index < 10; index++) {
      if (index === round % 10) login = round % 2 ? submit(user) : post("/login", { user });
      parts.push(part(round, index));
    }
    const answers = await Promise.all(parts);
    await login;
    for (const answer of answers) {
      const when = answer === user ? "after" : answer;
      if (when in seen) seen[when]++;
      else lost.push(`${user}: a part was answered ${answer}`);
    }
    const at_last = await who();
    if (at_last !== user) lost.push(`${user}: at last ${at_last}`);
    await post("/logout", {});
    const left = await who();
    if (left !== "nobody") lost.push(`${user}: after the logout ${left}`);
  }
  return { lost, seen };
}

all().then(done, (error) => done({ lost: [`${error}`], seen: {} }));
