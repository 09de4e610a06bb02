// Log-in with a passkey, and adding one: the browser asks the device, and the form carries what it says. Without scripts, or where the
// browser knows no passkeys, the forms stay as they are: not shown.
for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) continue;
  const isNew = "new" in form.dataset;
  form.hidden = false;
  form.addEventListener("submit", async event => {
    event.preventDefault();
    const said = form.querySelector(".refusal");
    said.textContent = "";
    try {
      const options = JSON.parse(form.dataset.passkey);
      const credential = isNew
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
      form.elements.credential.value = JSON.stringify(credential);
      form.submit();
    } catch (error) {
      said.textContent = error?.name === "InvalidStateError" ? "This device has a passkey of yours already."
        : "The device gave no passkey. Try again, or use your password.";
    }
  });
}
