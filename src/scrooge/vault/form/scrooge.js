// Puts the vault's card form into a page of yours: Scrooge.card({ session_url, container, onDone, ... }).
// It never sees a card: the form is a page of another origin, and tells only what is passed on below.
(function () {
  "use strict";
  const PATIENCE = 15000; // milliseconds until a form that does not come up is given up on

  function card(options) {
    const origin = new URL(options.session_url).origin;
    const frame = document.createElement("iframe");
    const shown = new URLSearchParams();
    ["label", "dir"].forEach((name) => options[name] && shown.set(name, options[name]));
    const call = (name, fact) => typeof options[name] === "function" && options[name](fact);
    const waiting = setTimeout(() => call("onError", { code: "form_unavailable" }), PATIENCE);
    const post = (type) => frame.contentWindow && frame.contentWindow.postMessage({ scrooge: type }, origin);

    const handlers = {
      ready: () => call("onReady", form),
      change: (said) => call("onChange", { complete: said.complete, brand: said.brand }),
      done: (said) => call("onDone", { instrument: said.instrument, card: said.card }),
      error: (said) => call("onError", { code: said.code }),
      height: (said) => {
        frame.style.height = Math.ceil(Number(said.height)) + "px";
      },
    };

    function hear(event) {
      const said = event.data;
      if (event.origin !== origin || event.source !== frame.contentWindow || !said) {
        return;
      }
      if (Object.prototype.hasOwnProperty.call(handlers, said.scrooge)) {
        if (said.scrooge !== "height") {
          clearTimeout(waiting);
        }
        handlers[said.scrooge](said);
      }
    }

    const form = {
      submit: () => post("submit"),
      destroy: () => {
        clearTimeout(waiting);
        window.removeEventListener("message", hear);
        frame.remove();
      },
    };

    window.addEventListener("message", hear);
    frame.title = options.title || "Card details";
    frame.referrerPolicy = "origin"; // The vault compares it with the session's.
    frame.style.cssText = "display:block;width:100%;height:24rem;border:0";
    frame.src = options.session_url + "#" + shown;
    const container = options.container;
    (typeof container === "string" ? document.querySelector(container) : container).appendChild(frame);
    return form;
  }

  window.Scrooge = { card: card };
})();
