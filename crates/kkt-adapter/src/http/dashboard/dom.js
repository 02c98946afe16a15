// The page's elements. Text always goes in as text: nothing here makes markup out of a string.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

/** Makes an element: attributes, `class`, `data`, listeners as `onclick`; children are elements or text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "data") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** One of the symbols of index.html; says nothing to screen readers, since a word always stands beside it. */
export function icon(name, extra = "") {
  return svg("svg", { class: `icon ${extra}`, "aria-hidden": "true", focusable: "false" }, svg("use", { href: `#i-${name}` }));
}

/** Shape and word of a state; the colour comes from the level. */
export function badge(look, word, technical) {
  return h("span", { class: "badge", data: { level: look.level } }, icon(look.icon), h("span", {}, word),
    technical && h("span", { class: "technical", translate: "no" }, technical));
}

/** Sets text only where it changes, so that selections and screen readers are left in peace. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/**
 * Brings a list up to date by key. A row whose content is as before stays the very same element, so that focus and
 * selection survive; a changed one is made anew, and the focus goes to the control of the same name in it.
 */
export function keyed(container, items, key, content, make) {
  const before = new Map([...container.children].map((child) => [child.dataset.key, child]));
  const focused = document.activeElement;
  let place = container.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    const text = JSON.stringify(content(item));
    let row = before.get(name);
    before.delete(name);
    // A row that is just being pressed waits for its next turn: replaced now, it would lose the click.
    if (!row || (row.seen !== text && !row.matches(":active"))) {
      const fresh = make(item);
      fresh.dataset.key = name;
      fresh.seen = text;
      if (row) {
        const control = row.contains(focused) ? focused.dataset.control : null;
        if (row === place) place = fresh;
        row.replaceWith(fresh);
        if (control) fresh.querySelector(`[data-control="${CSS.escape(control)}"]`)?.focus();
      }
      row = fresh;
    }
    if (row === place) place = place.nextElementSibling;
    else container.insertBefore(row, place);
  }
  for (const row of before.values()) row.remove();
}
