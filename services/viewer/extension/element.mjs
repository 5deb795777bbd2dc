// Pages of plain DOM inside OHIF, which does not give its React to extensions.

// What React 18's createElement returns. React 19 names the symbol otherwise; the
// version is pinned in ohif.env and a browser test opens such a page.
const reactElement = (type, props, ref = null) => ({
  $$typeof: Symbol.for('react.element'),
  type,
  key: null,
  ref,
  props,
  _owner: null,
  _store: {},
});

/** A component that is a <div> for `fill(node)` to put DOM into, once. */
export function page(fill) {
  const ref = node => {
    if (node && !node.hasChildNodes()) fill(node);
  };
  return () => reactElement('div', { className: 'isocenter-page' }, ref);
}

/** A link as a React element; `go` is called instead of loading the page anew. */
export const link = (text, href, go) =>
  reactElement('a', {
    href,
    className: 'text-highlight underline',
    children: text,
    onClick: event => {
      event.stopPropagation();
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      go(href);
    },
    onDoubleClick: event => event.stopPropagation(),
  });

/** A DOM element. Children are nodes or text; nothing is ever parsed as HTML. */
export function dom(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child != null));
  return node;
}

/** The frame of a page: heading and the way back to the study list. */
export function sheet(title, go, ...children) {
  const back = dom('a', { href: '/' }, 'Study list');
  back.addEventListener('click', event => {
    event.preventDefault();
    go('/');
  });
  return dom(
    'main',
    {},
    dom('nav', {}, back),
    dom('h1', {}, title),
    ...children
  );
}
