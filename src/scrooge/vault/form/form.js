// The card form. What is typed goes to the vault's own origin, and nowhere else: the shop's page is told whether the
// form is complete, the brand, and in the end the instrument.
(function () {
  "use strict";
  const page = document.body.dataset;
  const at = (id) => document.getElementById(id);
  const PATIENCE = 20000; // milliseconds for an answer
  const NAMES = { number: "Card number", expiry: "Expiry date", code: "Security code", holder: "Name" };
  const BRANDS = { amex: "American Express", jcb: "JCB", unionpay: "UnionPay", rupay: "RuPay", diners: "Diners Club" };
  const PARAMS = { number: "number", exp_month: "expiry", exp_year: "expiry", cvc: "code", holder: "holder" };
  const RULES = {
    invalid_number: "this number is not right, please check each digit.",
    unknown_brand: "no card has a number like this.",
    expired_card: "this card has expired.",
    test_card_in_live_mode: "this is a test number, and cannot pay.",
    live_card_in_test_mode: "only test numbers can be used here.",
  };
  const OVER = ["session_used", "session_expired", "session_exhausted", "origin_refused", "not_found"];

  function tell(type, facts) {
    if (page.origin && window.parent !== window) {
      window.parent.postMessage(Object.assign({ scrooge: type }, facts), page.origin);
    }
  }

  new ResizeObserver(() => tell("height", { height: document.documentElement.offsetHeight })).observe(document.body);
  if (page.problem) {
    tell("error", { code: page.problem });
    return;
  }

  const RANGES = JSON.parse(page.ranges); // rows of first four digits from, to, lengths and brand
  const inputs = ["number", "expiry", "code", "holder"].map(at).filter(Boolean);
  const label = options().get("label") || at("send").textContent;
  let attempt = ""; // names one card that is sent: sent again, it is answered again
  let told = "";

  function options() {
    return new URLSearchParams(location.hash.slice(1));
  }

  // --- what is typed -------------------------------------------------------------------------------------------

  function digits(text) {
    return text.normalize("NFKC").replace(/\D/g, "");
  }

  function range(number) {
    const first = number.length < 4 ? -1 : Number(number.slice(0, 4));
    return RANGES.find((row) => row[0] <= first && first <= row[1]);
  }

  function called(brand) {
    return BRANDS[brand] || brand.charAt(0).toUpperCase() + brand.slice(1);
  }

  function codeLength() {
    const row = range(digits(at("number").value));
    return row && row[3] === "amex" ? 4 : 3;
  }

  function luhn(number) {
    let sum = 0;
    for (let i = 0; i < number.length; i += 1) {
      const digit = Number(number[number.length - 1 - i]);
      sum += i % 2 ? (digit * 2) % 10 + Math.floor(digit / 5) : digit;
    }
    return sum % 10 === 0;
  }

  function grouped(number) {
    const row = range(number);
    const short = row && (row[3] === "amex" || (row[3] === "diners" && number.length < 15));
    const parts = short ? [number.slice(0, 4), number.slice(4, 10), number.slice(10)] : number.match(/.{1,4}/g) || [];
    return parts.filter(Boolean).join(" ");
  }

  function dated(text) {
    const iso = text.match(/^\s*(\d{4})-(\d{1,2})\s*$/);
    const one = text.match(/^\s*(\d)\s*[/.-]/);
    let found = iso ? iso[2].padStart(2, "0") + iso[1] : (one ? "0" : "") + digits(text);
    if (/^[2-9]/.test(found)) {
      found = "0" + found;
    }
    return found.slice(0, 6);
  }

  // Month and year of what is typed; null: not both.
  function expiry() {
    const found = dated(at("expiry").value);
    if (found.length !== 4 && found.length !== 6) {
      return null;
    }
    const year = Number(found.slice(2));
    return { month: Number(found.slice(0, 2)), year: found.length === 4 ? 2000 + year : year };
  }

  // Formats in place; the caret stays behind the digits it was behind.
  function put(input, text) {
    if (input.value === text) {
      return;
    }
    const end = input.selectionStart === input.value.length;
    let left = digits(input.value.slice(0, input.selectionStart)).length;
    input.value = text;
    if (document.activeElement === input && !end) {
      let caret = 0;
      for (; left > 0 && caret < text.length; caret += 1) {
        left -= /\d/.test(text[caret]) ? 1 : 0;
      }
      input.setSelectionRange(caret, caret);
    }
  }

  function typed(input) {
    if (input.id === "number") {
      const number = digits(input.value);
      const row = range(number);
      put(input, grouped(number.slice(0, row ? Math.max.apply(null, row[2]) : 19)));
      at("number-brand").textContent = row ? called(row[3]) : "";
      if (at("code")) {
        at("code").maxLength = codeLength();
        at("code-hint").textContent = codeLength() === 4 ? "4 digits, on the front" : "3 digits, on the back";
      }
    } else if (input.id === "expiry") {
      const found = dated(input.value);
      put(input, found.length > 2 ? `${found.slice(0, 2)} / ${found.slice(2)}` : found);
    } else if (input.id === "code") {
      put(input, digits(input.value));
    }
  }

  // --- what is wrong with it -----------------------------------------------------------------------------------

  const CHECKS = {
    number() {
      const number = digits(at("number").value);
      const row = range(number);
      if (!number) {
        return "enter the number on the card.";
      }
      if (number.length >= 4 && !row) {
        return RULES.unknown_brand;
      }
      if (!row || row[2].indexOf(number.length) < 0) {
        const lengths = row ? row[2] : [16];
        return `${row ? called(row[3]) : "card"} numbers have ${said(lengths)} digits, this one has ${number.length}.`;
      }
      return luhn(number) ? "" : RULES.invalid_number;
    },
    expiry() {
      const when = expiry();
      if (!when) {
        return "enter month and year, like 03 / 30.";
      }
      if (when.month < 1 || when.month > 12) {
        return "the month is between 01 and 12.";
      }
      const month = `${when.year}-${String(when.month).padStart(2, "0")}`;
      return month < page.today ? RULES.expired_card : "";
    },
    code() {
      const wanted = codeLength();
      const side = wanted === 4 ? "front" : "back";
      return digits(at("code").value).length === wanted ? "" : `enter the ${wanted} digits on the ${side} of the card.`;
    },
    holder() {
      return /\d/.test(at("holder").value) ? "a name has no digits." : "";
    },
  };

  function said(lengths) {
    const last = lengths[lengths.length - 1];
    const row = last - lengths[0] === lengths.length - 1;
    return lengths.length === 1 ? last : row ? `${lengths[0]} to ${last}` : `${lengths.slice(0, -1).join(", ")} or ${last}`;
  }

  function show(id, rule) {
    const text = rule ? `${NAMES[id]}: ${rule}` : "";
    if (at(`${id}-error`).textContent !== text) {
      at(`${id}-error`).textContent = text;
    }
    at(id).setAttribute("aria-invalid", String(Boolean(rule)));
  }

  function changed() {
    const row = range(digits(at("number").value));
    const state = { complete: inputs.every((input) => !CHECKS[input.id]()), brand: row ? row[3] : null };
    if (told !== JSON.stringify(state)) {
      told = JSON.stringify(state);
      tell("change", state);
    }
  }

  inputs.forEach((input) => {
    input.addEventListener("input", () => {
      attempt = "";
      typed(input);
      if (input.getAttribute("aria-invalid") === "true" && !CHECKS[input.id]()) {
        show(input.id, "");
      }
      changed();
    });
    input.addEventListener("blur", () => input.value && show(input.id, CHECKS[input.id]()));
  });

  // --- sending it ----------------------------------------------------------------------------------------------

  function card() {
    const when = expiry();
    const found = { number: digits(at("number").value), exp_month: when.month, exp_year: when.year };
    if (at("code")) {
      found.cvc = digits(at("code").value);
    }
    if (at("holder").value.trim()) {
      found.holder = at("holder").value.trim();
    }
    return found;
  }

  function random() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (n) => n.toString(16).padStart(2, "0")).join("");
  }

  async function ask() {
    attempt = attempt || random();
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), PATIENCE);
    try {
      const answer = await fetch(page.action, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ card: card(), attempt: attempt }),
        credentials: "omit",
        redirect: "error",
        signal: stop.signal,
      });
      return { status: answer.status, document: await answer.json() };
    } catch (_) {
      return { status: 0, document: {} };
    } finally {
      clearTimeout(timer);
    }
  }

  function busy(is) {
    at("fields").disabled = is;
    at("form").setAttribute("aria-busy", String(is));
    at("send").textContent = is ? "Sending …" : label;
  }

  function finish(text) {
    at("form").reset();
    at("form").remove();
    at("told").textContent = text;
    at("told").focus();
  }

  function refused(status, problem) {
    const path = String(problem.param || "").split(".");
    const id = PARAMS[path[path.length - 1]];
    if (OVER.indexOf(problem.code) >= 0) {
      tell("error", { code: problem.code });
      at("told").className = "failure";
      finish("This form cannot be used any more. Please go back to the shop.");
    } else if (id && at(id)) {
      show(id, RULES[problem.code] || `${problem.detail}.`);
      at(id).focus();
    } else {
      const known = status >= 400 && status < 500 && status !== 429;
      at("failure").textContent = known
        ? "The card was refused. Please check what you entered, or use another card."
        : "No answer came: the network may be down. Nothing was paid. Please try again.";
      at("send").textContent = "Try again";
      at("send").focus();
    }
  }

  async function submit() {
    if (at("fields").disabled) {
      return;
    }
    at("failure").textContent = "";
    inputs.forEach((input) => show(input.id, CHECKS[input.id]()));
    const wrong = inputs.find((input) => input.getAttribute("aria-invalid") === "true");
    if (wrong) {
      wrong.focus();
      return;
    }
    busy(true);
    const found = await ask();
    busy(false);
    if (found.status === 200 || found.status === 201) {
      const shown = found.document.card;
      finish(`${called(shown.brand)} card ending in ${shown.last4}`);
      tell("done", { instrument: found.document.id, card: { brand: shown.brand, last4: shown.last4, exp: shown.exp } });
    } else {
      refused(found.status, found.document);
    }
  }

  at("form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  window.addEventListener("message", (event) => {
    if (event.source === window.parent && event.origin === page.origin && event.data && event.data.scrooge === "submit") {
      submit();
    }
  });
  document.documentElement.dir = options().get("dir") === "rtl" ? "rtl" : "ltr";
  at("send").textContent = label;
  inputs.forEach(typed); // A browser may have kept what was typed before a reload.
  tell("ready", {});
  changed();
})();
