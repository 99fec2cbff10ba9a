// The page of `avsv serve`. Names and messages are set as text, never as HTML.
"use strict";

const SECONDS = 5;
const find = (id) => document.getElementById(id);
const state = { clips: new Map(), stream: null, modalities: [], mostBytes: Infinity, busy: 0, n: 0 };

// make("p", {className: "quiet"}, "text", other nodes): a new element
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// The token is behind the # of the address, which is never sent; it stays in this tab only.
function readToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token");
}
const token = readToken();

class Problem extends Error {
  constructor(answer) {
    super(answer.error);
    this.reasons = answer.reasons || null;
  }
}

async function ask(path, body) {
  const headers = { "X-Avsv": "page" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const options = { headers };
  if (body !== undefined) {
    options.method = "POST";
    options.body = body instanceof Blob ? body : JSON.stringify(body);
    headers["Content-Type"] = body instanceof Blob ? "application/octet-stream" : "application/json";
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Problem({ error: "avsv serve does not answer; is it still running?" });
  }
  const record = await answer.json().catch(() => ({ error: `avsv serve answered ${answer.status}` }));
  if (!answer.ok) throw new Problem(record);
  return record;
}

function say(text, isError = false) {
  find("status").textContent = text;
  find("status").className = isError ? "error" : "quiet";
}

function show(kind, ...nodes) {
  const result = find("result");
  result.className = kind;
  result.replaceChildren(...nodes.filter((node) => node !== null));
}

function showProblem(error) {
  if (!error.reasons) return show("bad", make("p", { className: "error", textContent: error.message }));
  const list = make("ul", { className: "remarks" }, ...error.reasons.map((text) => make("li", { textContent: text })));
  show("bad", make("p", { className: "answer", textContent: "Not enrolled" }), list,
    make("p", { className: "quiet", textContent: "Tick “in spite of doubts” to enrol nevertheless." }));
}

// Clips: recordings of the camera and files, uploaded at once, with what the encoders found in them.

async function addClip(blob, label) {
  if (blob.size > state.mostBytes) {
    say(`${label}: larger than ${Math.round(state.mostBytes / 2 ** 20)} MiB`, true);
    return;
  }
  state.busy += 1;
  say(`${label}: looking for voice and face …`);
  try {
    const record = await ask("api/recordings", blob);
    state.clips.set(record.id, { ...record, label, url: URL.createObjectURL(blob), type: blob.type });
    for (const box of document.querySelectorAll("#clips input")) box.checked = false;
    addRow(record.id);
    say("");
  } catch (error) {
    say(`${label}: ${error.message}`, true);
  } finally {
    state.busy -= 1;
    update();
  }
}

function player(clip) {
  const kind = clip.type.split("/")[0];
  if (kind === "image") return make("img", { src: clip.url, alt: clip.label });
  return make(kind === "audio" ? "audio" : "video", { src: clip.url, controls: true, preload: "metadata" });
}

function addRow(id) {
  const clip = state.clips.get(id);
  const chips = state.modalities.map((name) => make("span", {
    className: clip.modalities.includes(name) ? "chip" : "chip absent", textContent: name,
    title: clip.absent[name] || "",
  }));
  const about = make("div", { className: "about" }, make("div", { textContent: clip.label }), ...chips);
  if (clip.remarks.length) about.append(remarkList(clip.remarks));
  const box = make("input", { type: "checkbox", checked: true, value: id, ariaLabel: `use ${clip.label}` });
  box.addEventListener("change", update);
  const drop = make("button", { className: "plain", textContent: "Discard" });
  drop.addEventListener("click", () => {
    dropClips([id]);
    ask("api/discard", { ids: [id] }).catch(() => {});
  });
  find("clips").append(make("li", { id: `clip-${id}` }, box, player(clip), about, drop));
}

function remarkList(texts) {
  return make("ul", { className: "remarks" }, ...texts.map((text) => make("li", { textContent: text })));
}

function dropClips(ids) {
  for (const id of ids) {
    URL.revokeObjectURL(state.clips.get(id)?.url);
    state.clips.delete(id);
    find(`clip-${id}`)?.remove();
  }
  update();
}

const chosen = () => [...document.querySelectorAll("#clips input:checked")].map((box) => box.value);

function update() {
  const n = chosen().length;
  find("identify").disabled = n !== 1;
  find("verify").disabled = n !== 2;
  find("enroll-button").disabled = n === 0;
  find("identify").title = n === 1 ? "" : "choose one recording";
  find("verify").title = n === 2 ? "" : "choose two recordings";
}

// Camera and microphone

async function openCamera() {
  if (!navigator.mediaDevices) {
    say("The browser allows camera and microphone on localhost and over https only: choose files, or reach this machine "
      + "through ssh -L", true);
    return;
  }
  const wanted = [{ video: true, audio: true }, { audio: true }, { video: true }];
  let reason;
  for (const devices of wanted) {
    try {
      state.stream = await navigator.mediaDevices.getUserMedia(devices);
      break;
    } catch (error) {
      reason = error;
      if (error.name === "NotAllowedError") break;
    }
  }
  if (!state.stream) {
    say(`no camera or microphone: ${reason.message}`, true);
    return;
  }
  const seen = state.stream.getVideoTracks().length > 0;
  find("preview").srcObject = state.stream;
  find("preview").hidden = !seen;
  find("camera").hidden = true;
  find("record").hidden = find("off").hidden = false;
  say(seen ? "" : "Without camera: recordings have a voice only.");
}

function closeCamera() {
  for (const track of state.stream.getTracks()) track.stop();
  state.stream = null;
  find("preview").srcObject = null;
  find("preview").hidden = find("record").hidden = find("off").hidden = true;
  find("camera").hidden = false;
}

function record() {
  const recorder = new MediaRecorder(state.stream);
  const parts = [];
  const button = find("record");
  let left = SECONDS;
  const count = () => { button.textContent = `Recording … ${left}`; };
  const clock = setInterval(() => {
    left -= 1;
    count();
    if (left === 0) recorder.stop();
  }, 1000);
  recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
  recorder.addEventListener("stop", () => {
    clearInterval(clock);
    button.disabled = find("off").disabled = false;
    button.textContent = `Record ${SECONDS} seconds`;
    state.n += 1;
    addClip(new Blob(parts, { type: recorder.mimeType }), `recording ${state.n}`);
  });
  button.disabled = find("off").disabled = true;
  count();
  recorder.start();
}

// Questions

const number = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const percent = (value) => `${(100 * value).toFixed(value > 0.0005 && value < 0.9995 ? 1 : 0)} %`;
const because = (scores) => Object.keys(scores).join(" and ") || "no common modality";

function cell(text, isNumber = true) {
  return make("td", { className: isNumber ? "number" : "", textContent: text });
}

function table(head, rows) {
  const heads = head.map((text, place) => make("th", { textContent: text, className: place ? "number" : "" }));
  return make("div", { className: "wide" },
    make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows)));
}

async function identify() {
  const found = await ask("api/identify", { recording: chosen()[0] });
  const best = found.candidates[0];
  const answer = found.name ?? (found.n_people ? "Nobody in the gallery" : "The gallery is empty");
  let why = "";
  if (best) {
    why = `The best match, ${best.name}, rests on ${because(best.scores)}.`;
    if (found.margin !== null) {
      why += ` The runner-up, ${found.candidates[1]?.name ?? "another person"}, is ${number(found.margin, 1)} below.`;
    }
  }
  const rows = found.candidates.map((one) => make("tr", {}, cell(one.name, false), cell(number(one.ratio)),
    make("td", { className: "number" }, `${percent(one.probability)} `, make("meter", { value: one.probability })),
    ...state.modalities.map((name) => cell(number(one.scores[name], 3)))));
  if (found.threshold !== null) {
    rows.push(make("tr", { className: "line" }, cell("nobody (threshold)", false), cell(number(found.threshold)),
      make("td", { className: "number" }, `${percent(found.nobody)} `, make("meter", { value: found.nobody })),
      ...state.modalities.map(() => cell(""))));
  }
  const head = ["person", "log-likelihood ratio", "probability", ...state.modalities.map((name) => `${name} score`)];
  show(found.name ? "good" : "bad", make("p", { className: "answer", textContent: answer }),
    make("p", { textContent: why }), rows.length ? table(head, rows) : null,
    found.remarks.length ? remarkList(found.remarks) : null);
}

async function verify() {
  const [one, other] = chosen();
  const found = await ask("api/verify", { one, other });
  const answers = new Map([[true, "The same person"], [false, "Different people"], [null, "Cannot be compared"]]);
  const row = make("tr", {}, cell(because(found.scores), false), cell(number(found.ratio)), cell(number(found.threshold)),
    ...state.modalities.map((name) => cell(number(found.scores[name], 3))));
  const texts = found.remarks.flatMap((list, place) => list.map((text) => `${place ? "second" : "first"}: ${text}`));
  show(found.same ? "good" : "bad", make("p", { className: "answer", textContent: answers.get(found.same) }),
    table(["by", "log-likelihood ratio", "threshold", ...state.modalities.map((name) => `${name} score`)], [row]),
    texts.length ? remarkList(texts) : null);
}

async function enroll() {
  const ids = chosen();
  const given = { name: find("name").value.trim(), ids, consent: find("consent").value.trim(), force: find("force").checked };
  const found = await ask("api/enroll", given);
  dropClips(ids);
  find("enroll").reset();
  show("good", make("p", { className: "answer", textContent: `${found.name}: ${found.new ? "enrolled" : "recordings added"}` }),
    found.warnings.length ? remarkList(found.warnings) : null);
  await refresh();
}

async function remove(name) {
  if (!confirm(`Remove ${name} and everything derived from the recordings?`)) return;
  const found = await ask("api/remove", { name });
  const parts = Object.entries(found.embeddings).map(([modality, n]) => `${n} ${modality} embeddings`);
  show("good", make("p", { className: "answer", textContent: `${found.name}: removed` }),
    make("p", { textContent: `with ${found.recordings} recordings, ${parts.join(", ")}` }));
  await refresh();
}

async function refresh() {
  const found = await ask("api/gallery");
  state.modalities = found.modalities;
  state.mostBytes = found.most_bytes;
  find("gallery").textContent = found.gallery;
  const rows = found.people.map((person) => {
    const drop = make("button", { className: "plain", textContent: "Remove", ariaLabel: `Remove ${person.name}` });
    drop.addEventListener("click", () => attempt(() => remove(person.name)));
    return make("tr", {}, cell(person.name, false), cell(person.n_recordings),
      ...state.modalities.map((name) => cell(person.n_with[name] ?? 0)), cell(person.added.slice(0, 10)),
      make("td", { className: "number" }, drop));
  });
  const head = ["name", "recordings", ...state.modalities.map((name) => `with ${name}`), "since", ""];
  find("people").replaceChildren(rows.length ? table(head, rows)
    : make("p", { className: "quiet", textContent: "Nobody yet." }));
  if (found.n_people > rows.length) {
    find("people").append(make("p", { className: "quiet",
      textContent: `The first ${rows.length} of ${found.n_people} people; avsv gallery list shows all.` }));
  }
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    showProblem(error);
  }
}

find("camera").addEventListener("click", openCamera);
find("off").addEventListener("click", closeCamera);
find("record").addEventListener("click", record);
find("files").addEventListener("change", async (event) => {
  const files = [...event.target.files];
  event.target.value = "";
  for (const file of files) await addClip(file, file.name);
});
find("identify").addEventListener("click", () => attempt(identify));
find("verify").addEventListener("click", () => attempt(verify));
find("enroll").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(enroll);
});
attempt(refresh);
update();
