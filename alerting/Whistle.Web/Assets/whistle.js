// Renews the page in place. Without it the page is complete, only not renewed.
const interval = 15_000;
const live = document.getElementById("live");
let renewedAt = Date.now();
let running = null;

// The same element in the new page: by its id, else by its address and its turn within the nearest element that has one.
const twin = (before, after, element) => {
    if (element.id) return after.querySelector(`#${CSS.escape(element.id)}`);
    const alike = (root) => [...root.querySelectorAll(element.localName)].filter((e) =>
        e.getAttribute("href") === element.getAttribute("href") && e.closest("[id]")?.id === element.closest("[id]")?.id);
    return alike(after)[alike(before).indexOf(element)] ?? null;
};

// Only what the reader opened or closed is kept: a node that falls ill opens by itself.
const chosen = new Map();
document.addEventListener("click", (event) => {
    const details = event.target.closest?.("summary")?.parentElement;
    if (details?.id) chosen.set(details.id, !details.open);
});

const carryOver = (to) => {
    for (const [id, open] of chosen) {
        const details = to.querySelector(`#${CSS.escape(id)}`);
        if (details) details.open = open;
    }
};

const swap = (text) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    const [before, after] = [document.getElementById("main"), page.getElementById("main")];
    if (!after || !page.getElementById("asof")) return false;
    const style = (root) => root.querySelector("link[rel=stylesheet]").getAttribute("href");
    if (style(page) !== style(document)) location.reload();
    carryOver(after);
    const focused = before.contains(document.activeElement) ? twin(before, after, document.activeElement) : null;
    const scrolled = [...before.querySelectorAll(".scroll")].map((e) => e.scrollLeft);
    const [x, y] = [scrollX, scrollY];
    before.replaceWith(document.adoptNode(after));
    after.querySelectorAll(".scroll").forEach((e, i) => { e.scrollLeft = scrolled[i] ?? 0; });
    scrollTo({ left: x, top: y, behavior: "instant" });
    focused?.focus({ preventScroll: true });
    document.getElementById("asof").replaceWith(document.adoptNode(page.getElementById("asof")));
    document.title = page.title;
    return true;
};

const say = (text) => {
    document.documentElement.classList.toggle("is-old", text !== "");
    if (live.textContent !== text) live.textContent = text;
};

const failed = (why) => say(`${why} What you see is ${Math.round((Date.now() - renewedAt) / 60_000)} min old.`.replace(" 0 min old", " less than a minute old"));

const isSelecting = () => {
    const selection = getSelection();
    return selection && !selection.isCollapsed && document.getElementById("main").contains(selection.anchorNode);
};

const renew = async () => {
    if (document.hidden || isSelecting() || running) return;
    running = new AbortController();
    const limit = setTimeout(() => running.abort(), interval);
    try {
        const answer = await fetch(location.href, { signal: running.signal, headers: { Accept: "text/html" } });
        const text = await answer.text();
        if (answer.redirected && new URL(answer.url).pathname === "/login") failed("You are logged out: get a new link with “whistle login”.");
        else if (swap(text)) { renewedAt = Date.now(); say(""); }
        else failed(`The server answers ${answer.status}.`);
    } catch {
        failed("The server does not answer.");
    } finally {
        clearTimeout(limit);
        running = null;
    }
};

setInterval(renew, interval);
document.addEventListener("visibilitychange", () => { if (!document.hidden && Date.now() - renewedAt > interval) renew(); });
