// OHIF reads window.config before it starts. Everything is decided in
// /isocenter/configuration.mjs from /platform.json, which the chart writes.
window.config = async services =>
  (await import('/isocenter/configuration.mjs')).configuration(services);
