// HTTP with a lipstream server. Every error becomes an ApiError with a sentence for the user.

const UNREACHABLE = 'The server cannot be reached. Check that it runs and that you are online.';

export class ApiError extends Error {
  /** `status` 0: no answer at all. `retryAfter`: seconds until a full server accepts requests again. */
  constructor(status, code, message, retryAfter = null) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export class Api {
  constructor(server, token = '') {
    this.server = new URL(server, document.baseURI);
    this.token = token;
  }

  /** A path or URL that the server named, as an absolute URL. */
  url(path) {
    return new URL(path, this.server).href;
  }

  get headers() {
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  }

  /** The response of a call that succeeded; ApiError for all else, AbortError when aborted. */
  async call(method, path, { headers = {}, ...options } = {}) {
    let response;
    try {
      response = await fetch(this.url(path), {
        method,
        headers: { ...this.headers, ...headers },
        ...options,
      });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new ApiError(0, 'unreachable', UNREACHABLE);
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }

  async #json(method, path, options) {
    return (await this.call(method, path, options)).json();
  }

  config() {
    return this.#json('GET', 'v1/config');
  }

  async avatars() {
    return (await this.#json('GET', 'v1/avatars')).avatars;
  }

  avatar(id) {
    return this.#json('GET', `v1/avatars/${encodeURIComponent(id)}`);
  }

  removeAvatar(id) {
    return this.call('DELETE', `v1/avatars/${encodeURIComponent(id)}`);
  }

  /** The poster as a blob: an <img> cannot send the token itself. */
  async picture(id) {
    const response = await this.call('GET', `v1/avatars/${encodeURIComponent(id)}/picture`);
    return response.blob();
  }

  /** Uploads a picture or clip; `progress` is called with the share sent so far, 0..1. */
  uploadAvatar(file, { name, rotate }, progress) {
    const form = new FormData();
    form.append('file', file);
    form.append('name', name);
    if (rotate) form.append('rotate', rotate);
    return new Promise((resolve, reject) => {
      // fetch does not report how much of a body has been sent.
      const request = new XMLHttpRequest();
      request.open('POST', this.url('v1/avatars'));
      for (const [key, value] of Object.entries(this.headers)) request.setRequestHeader(key, value);
      request.upload.onprogress = (event) => {
        if (event.lengthComputable) progress(event.loaded / event.total);
      };
      request.onerror = () => reject(new ApiError(0, 'unreachable', UNREACHABLE));
      request.onload = () => {
        if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.response));
        else reject(errorOf(request.status, request.response, request.getResponseHeader('Retry-After')));
      };
      request.send(form);
    });
  }

  /** `motion` of a picture: undefined for its own. `replaces`: a session whose place it takes. */
  openSession(avatar, { motion, replaces } = {}) {
    return this.#json('POST', 'v1/sessions', json({ avatar, motion, replaces }));
  }

  session(id) {
    return this.#json('GET', `v1/sessions/${id}`);
  }

  /** Closes a session, also while the page is being left. */
  closeSession(id) {
    return this.call('DELETE', `v1/sessions/${id}`, { keepalive: true });
  }

  interrupt(id) {
    return this.#json('POST', `v1/sessions/${id}/interrupt`);
  }

  /** Speaks a sound file; returns its utterance and duration. */
  speakFile(session, file) {
    const form = new FormData();
    form.append('file', file);
    return this.#json('POST', session.speech_url, { body: form });
  }

  /** Speaks a text; returns its utterance. */
  say(id, text, voice) {
    return this.#json('POST', `v1/sessions/${id}/say`, json({ text, voice }));
  }

  sendStats(id, figures) {
    return this.call('POST', `v1/sessions/${id}/stats`, json(figures));
  }
}

/** The options of a call with a JSON body; fields that are undefined are left out. */
function json(value) {
  return { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) };
}

async function refusal(response) {
  return errorOf(response.status, await response.text(), response.headers.get('Retry-After'));
}

function errorOf(status, body, retryAfter) {
  const seconds = retryAfter === null ? null : Number.parseInt(retryAfter, 10) || null;
  try {
    const { code, message } = JSON.parse(body).error;
    return new ApiError(status, code, message, seconds);
  } catch {
    return new ApiError(status, `http_${status}`, `The server answered ${status}.`, seconds);
  }
}
