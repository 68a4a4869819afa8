// The still picture that is shown while there is no stream.

export class Poster {
  #image;
  #key = null; // of what is shown, or about to be
  #face = null;

  /** `loaded(width, height, face)` is called when `image` has another picture. */
  constructor(image, loaded) {
    this.#image = image;
    image.addEventListener('load', () => {
      loaded(image.naturalWidth, image.naturalHeight, this.#face);
    });
  }

  /**
   * Shows an avatar's picture, nothing where it cannot be loaded; ApiError then. `cut`: it will be
   * cut around its `face`, [x, y] of 0..1, which the server is asked for unless it is given.
   */
  async show(api, id, { cut, face }) {
    const key = `${id} ${api.server} ${api.token}`;
    if (key === this.#key) return;
    this.#key = key;
    try {
      const picture = await api.picture(id);
      const middle = cut && face === undefined ? (await api.avatar(id)).face : face;
      if (key !== this.#key) return;
      this.#face = middle ?? null;
      URL.revokeObjectURL(this.#image.src);
      this.#image.src = URL.createObjectURL(picture);
    } catch (error) {
      if (key === this.#key) {
        this.#key = null; // the next call tries again
        URL.revokeObjectURL(this.#image.src);
        this.#image.removeAttribute('src');
      }
      throw error;
    }
  }
}
