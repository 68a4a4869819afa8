// Keeps lips and voice together at the viewer's end.
//
// Browsers let sound wait longer than pictures, and align the two slowly and only to within some
// 30 ms: lips run ahead a little, and by more for many seconds after the network or the machine
// was busy. So pictures are asked to wait as much longer as the statistics say they are early.

const CLOSE = 6; // ms; nobody sees less
const SENSELESS = 1_000; // ms; before the first sender reports the statistics tell anything
const SHARE = 0.4; // of the difference that is corrected at each reading, lest it swings
const REACH = 80; // ms by which what is asked for may differ from what came of it
const FIRST = 50; // ms, asked for until the statistics tell anything: what a calm line comes to
const LONGEST = 400; // ms

/** Follows the sound of one connection. */
export class PictureDelay {
  #receiver;
  #asked = 0; // ms

  /** `receiver` is the RTCRtpReceiver of the pictures. */
  constructor(receiver) {
    this.#receiver = receiver;
    this.#ask(FIRST);
  }

  /** `offset`: how late pictures are against sound, `waited`: in their buffer; ms or null. */
  follow(offset, waited) {
    if (offset === null || waited === null) return;
    if (Math.abs(offset) < CLOSE || Math.abs(offset) > SENSELESS) return;
    // Decoding and showing take their part of what is asked for, so it is more than was waited.
    // A network that makes pictures wait longer by itself has to be asked for more than that.
    const asked = Math.min(this.#asked, waited + REACH);
    this.#ask((offset < 0 ? Math.max(asked, waited) : asked) - SHARE * offset);
  }

  #ask(wanted) {
    this.#asked = Math.round(Math.max(0, Math.min(LONGEST, wanted)));
    // Browsers that cannot be asked are left to themselves.
    if ('jitterBufferTarget' in this.#receiver) this.#receiver.jitterBufferTarget = this.#asked;
  }
}
