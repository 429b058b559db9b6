"use strict";

const list = document.getElementById("list");
const text = document.getElementById("text");

function show(notes) {
  list.replaceChildren(...notes.map((note) => {
    const item = document.createElement("li");
    const remove = document.createElement("button");
    remove.textContent = "✕";
    remove.setAttribute("aria-label", `Remove ${note.text}`);
    remove.onclick = () => fetch(`/api/notes/${note.id}`, { method: "DELETE" });
    item.append(note.text, " ", remove);
    return item;
  }));
}

document.getElementById("form").onsubmit = async (event) => {
  event.preventDefault();
  await fetch("/api/notes", { method: "POST", body: JSON.stringify({ text: text.value }) });
  text.value = "";
};

new EventSource("/api/events").onmessage = (event) => show(JSON.parse(event.data));
