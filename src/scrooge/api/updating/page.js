// The page on which a payer leaves a new card. The card is typed into the vault's form, a page of another origin; here
// comes the name of its instrument, which goes to the page's own address. Sent again, it is answered again.
(function () {
  "use strict";
  const card = document.getElementById("card");
  const problem = document.getElementById("problem");
  const AGAIN = 2000; // milliseconds
  const TRIES = 30;

  function fail(text) {
    problem.textContent = text;
  }

  function send(instrument, left) {
    fetch(location.pathname, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ instrument: instrument }),
    })
      .then((answer) => (answer.status >= 500 || answer.status === 429 ? Promise.reject(answer) : answer.json()))
      .then((told) => location.replace(told.go))
      .catch(() => {
        fail(left > 0 ? "No answer came yet. Trying again." : "No answer came. Please load this page again.");
        if (left > 0) {
          setTimeout(() => send(instrument, left - 1), AGAIN);
        }
      });
  }

  window.Scrooge.card({
    session_url: card.dataset.session,
    container: card,
    label: "Use this card",
    onDone: (told) => send(told.instrument, TRIES),
    onError: () => fail("The card form cannot be shown. Please load this page again."),
  });
})();
