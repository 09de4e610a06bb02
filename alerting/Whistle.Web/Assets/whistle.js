// What the server cannot do for a page: keys, the theme, and saying that the server is gone.
(() => {
  "use strict";

  const root = document.documentElement;
  const store = {
    get: name => { try { return localStorage.getItem(name); } catch { return null; } },
    set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* Storage may be shut off. */ } },
  };

  // ---- theme and keys, kept in this browser

  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;

  document.addEventListener("click", e => {
    const target = e.target.closest("[data-theme-toggle], [data-keys-toggle], [data-skip]");
    if (!target) return;
    if (target.matches("[data-theme-toggle]")) {
      root.dataset.theme = isDark() ? "light" : "dark";
      store.set("whistle-theme", root.dataset.theme);
    } else if (target.matches("[data-keys-toggle]")) {
      store.set("whistle-keys", keysAreOff() ? "on" : "off");
      showKeys(target);
    } else {
      e.preventDefault();
      document.getElementById("main")?.focus();
    }
  });

  const keysAreOff = () => store.get("whistle-keys") === "off";
  const showKeys = button => {
    button.setAttribute("aria-pressed", String(keysAreOff()));
    button.textContent = keysAreOff() ? "Turn single keys on" : "Turn single keys off";
  };
  new MutationObserver(() => {
    const button = document.querySelector("[data-keys-toggle]");
    if (button && button.getAttribute("aria-pressed") !== String(keysAreOff())) showKeys(button);
  }).observe(document.body, { childList: true, subtree: true });

  // ---- keys

  let before = "";
  let beforeAt = 0;

  const isTyping = e => e.target.closest?.("input, textarea, select, [contenteditable]");
  const rows = () => [...document.querySelectorAll("main [data-row] [data-open]")].filter(a => a.offsetParent !== null);

  const step = by => {
    const all = rows();
    if (all.length === 0) return;
    const at = all.findIndex(a => a.closest("[data-row]").contains(document.activeElement));
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
    next.focus();
    next.closest("[data-row]").scrollIntoView({ block: "nearest" });
  };

  document.addEventListener("keydown", e => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    if (isTyping(e)) {
      if (e.key === "Escape" && e.target.matches("[data-filter]")) e.target.blur();
      return;
    }
    if (document.querySelector(".mud-dialog") || keysAreOff()) return;
    const sequence = performance.now() - beforeAt < 1500 && before ? `${before} ${e.key}` : "";
    const target = (sequence && find(sequence)) || find(e.key);
    [before, beforeAt] = [sequence && find(sequence) ? "" : e.key, performance.now()];
    if (target) {
      e.preventDefault();
      target.focus();
      target.click();
    } else if (e.key === "/") {
      const filter = document.querySelector("[data-filter]");
      if (!filter) return;
      e.preventDefault();
      filter.focus();
      filter.select();
    } else if (e.key === "j" || e.key === "k") {
      e.preventDefault();
      step(e.key === "j" ? 1 : -1);
    }
  });

  const find = key => document.querySelector(`[data-key="${CSS.escape(key)}"]`) ?? [...document.querySelectorAll("[data-key]")].find(x => x.dataset.key === key);

  // ---- dialogs: who closes one is where they were

  let opener = null;
  let isOpen = false;

  for (const kind of ["focusin", "click"]) {
    document.addEventListener(kind, e => {
      const target = e.target.closest?.("a, button, input, select, textarea");
      if (target && !target.closest(".mud-dialog-container")) opener = target;
    }, true);
  }

  new MutationObserver(() => {
    const wasOpen = isOpen;
    isOpen = document.querySelector(".mud-dialog") !== null;
    if (wasOpen && !isOpen && opener?.isConnected && (document.activeElement ?? document.body) === document.body) opener.focus();
  }).observe(document.body, { childList: true, subtree: true });

  // ---- the connection

  const banner = document.getElementById("connection");
  let lostAt = 0;
  let ticking = 0;
  let renewedAt = performance.now();

  const asOf = () => document.getElementById("asof");
  new MutationObserver(changes => {
    if (changes.some(c => (c.target.nodeType === 3 ? c.target.parentElement : c.target)?.closest?.("#asof"))) renewedAt = performance.now();
  }).observe(document.body, { childList: true, subtree: true, characterData: true });

  const span = seconds => seconds < 60 ? `${seconds} s` : seconds < 3600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;

  const say = () => {
    const age = span(Math.round((performance.now() - renewedAt) / 1000));
    banner.textContent = `Connection lost. Data are from ${asOf()?.textContent ?? "before"} UTC (${age} ago). Trying again…`;
  };

  // A connection ends with its session too. Then the server leads to the login, and so does loading the page again.
  const lookForLogin = async () => {
    try {
      if ((await fetch("/session", { cache: "no-store", redirect: "manual" })).type === "opaqueredirect") location.reload();
    } catch { /* The server is gone. */ }
  };

  const lose = () => {
    if (lostAt) return;
    lostAt = performance.now();
    root.classList.add("is-lost");
    say();
    lookForLogin();
    let seconds = 0;
    ticking = setInterval(() => {
      say();
      if (++seconds % 5 === 0) lookForLogin();
    }, 1000);
  };

  const regain = () => {
    if (!lostAt) return;
    lostAt = 0;
    clearInterval(ticking);
    root.classList.remove("is-lost");
    banner.textContent = "Connected again. Data are current.";
    setTimeout(() => { if (!lostAt) banner.textContent = ""; }, 4000);
  };

  // The address holds the page's state, so a new page is the old one with current data. The server must answer first.
  const reload = async () => {
    lose();
    for (;;) {
      try {
        if ((await fetch("/-/ready", { cache: "no-store" })).ok) break;
      } catch { /* It is not back yet. */ }
      await new Promise(resolve => setTimeout(resolve, 1000));
    }
    location.reload();
  };

  document.getElementById("components-reconnect-modal").addEventListener("components-reconnect-state-changed", e => {
    switch (e.detail.state) {
      case "hide": regain(); break;
      case "failed":
      case "rejected": reload(); break;
      default: lose(); break;
    }
  });

  Blazor.start({
    circuit: {
      reconnectionOptions: { maxRetries: 1000000, retryIntervalMilliseconds: attempt => Math.min(500 * (attempt + 1), 5000) },
    },
  }).then(() => root.classList.add("is-live"), reload);
})();
