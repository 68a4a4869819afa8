// The form that asks for the server's token, which is kept in this tab only.

const KEY = 'lipstream-token';
const at = (id) => document.getElementById(id);

export class TokenForm {
  token = sessionStorage.getItem(KEY) ?? '';

  /** `submit` is called when another token was typed. */
  constructor(submit) {
    at('token-form').onsubmit = (event) => {
      event.preventDefault();
      this.token = at('token').value.trim();
      sessionStorage.setItem(KEY, this.token);
      at('token').value = '';
      submit();
    };
  }

  /** Shows the form instead of the page, with the reason of a refusal. */
  ask() {
    const refused = this.token ? 'This token was not accepted. Type it again.' : '';
    sessionStorage.removeItem(KEY);
    this.token = '';
    this.show(true);
    at('token-refused').textContent = refused;
    at('token').focus();
  }

  show(shown) {
    for (const id of ['talk', 'avatars']) at(id).hidden = shown;
    at('token-form').hidden = !shown;
  }
}
