// The shop's own page: it shows the vault's form, and sends the instrument, never a card, to the shop's server.
(function () {
  "use strict";
  const card = document.getElementById("card");
  const problem = document.getElementById("problem");

  function fail(text) {
    problem.textContent = text;
  }

  function pay(instrument) {
    return fetch(card.dataset.pay, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ instrument: instrument }),
    })
      .then((answer) => answer.json())
      .then((told) => (told.go ? location.assign(told.go) : fail(told.problem)))
      .catch(() => {
        fail("No answer came. Trying again: you will not pay twice.");
        setTimeout(() => pay(instrument), 2000);
      });
  }

  window.Scrooge.card({
    session_url: card.dataset.session,
    container: card,
    label: card.dataset.label,
    onDone: (told) => pay(told.instrument),
    onError: (told) => fail(`The card form cannot be used (${told.code}). Please start again.`),
  });
})();
