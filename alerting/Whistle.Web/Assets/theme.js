// Before the first paint: the chosen theme, so that nothing flashes. Without a choice the system's counts.
try {
  const theme = localStorage.getItem("whistle-theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch { /* Storage may be shut off. */ }
