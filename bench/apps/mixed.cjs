// One request in twenty computes for some 30 ms, the others answer at once.
let state = 1;
module.exports = (_req, res) => {
  if (Math.random() < 0.05) for (let i = 0; i < 2e7; i++) state = (Math.imul(state, 1664525) + 1013904223) | 0;
  res.end(`${state}\n`);
};
