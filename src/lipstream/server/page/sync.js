// Keeps lips and voice together at the viewer's end.
//
// Browsers let sound wait longer than pictures, and align the two slowly and only to within some
// 30 ms: lips run ahead a little, and by more for many seconds after the network or the machine
// was busy. So pictures are asked to wait as much longer as the statistics say they are early.

const CLOSE = 6; // ms; nobody sees less
const SENSELESS = 1_000; // ms; before the first sender reports the statistics tell anything
const SHARE = 0.5; // of the difference that is corrected at each reading, lest it swings
const LONGEST = 400; // ms

/** Follows the sound of one connection. */
export class PictureDelay {
  #receiver;

  /** `receiver` is the RTCRtpReceiver of the pictures. */
  constructor(receiver) {
    this.#receiver = receiver;
  }

  /** `offset`: how late pictures are against sound, `waited`: in their buffer; ms or null. */
  follow(offset, waited) {
    if (offset === null || waited === null || !('jitterBufferTarget' in this.#receiver)) return;
    if (Math.abs(offset) < CLOSE || Math.abs(offset) > SENSELESS) return;
    const wanted = waited - SHARE * offset;
    this.#receiver.jitterBufferTarget = Math.round(Math.max(0, Math.min(LONGEST, wanted)));
  }
}
