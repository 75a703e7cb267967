// Small helpers for making elements.

export const $ = (id) => document.getElementById(id);

export function make(name, className, ...children) {
  const e = document.createElement(name);
  if (className) e.className = className;
  e.append(...children);
  return e;
}

// An icon of index.html's symbols.
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export function button(name, label, onClick) {
  const b = make("button", "icon", icon(name));
  b.type = "button";
  b.title = label;
  b.setAttribute("aria-label", label);
  b.addEventListener("click", onClick);
  return b;
}

// The clipboard of browsers is closed to pages without TLS; the old way is not.
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make("textarea", "hidden");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function say(text) {
  $("announce").textContent = text;
}

/*
 * Bring the children of `parent` in line with `items`, each with a key: elements are made once by make(item), brought
 * up to date by update(element, item), moved when their place changed, and removed when their item is gone.
 */
export function reconcile(parent, items, makeOne, update) {
  const old = new Map([...parent.children].map((e) => [e.dataset.key, e]));
  let at = parent.firstElementChild;
  for (const item of items) {
    let e = old.get(item.key);
    if (!e) {
      e = makeOne(item);
      e.dataset.key = item.key;
    }
    old.delete(item.key);
    update(e, item);
    if (e === at) at = at.nextElementSibling;
    else parent.insertBefore(e, at);
  }
  for (const e of old.values()) e.remove();
}
