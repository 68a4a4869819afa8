// Keeps lips and voice together at the viewer's end.
//
// Browsers let sound wait longer than pictures, and align the two slowly and only to within some
// 30 ms: lips run ahead a little, and by more for many seconds after the network or the machine
// was busy. So pictures are asked to wait as long as sound does. All of them are kept either way;
// nothing is seen later than it is heard.

const AFTER_BUFFER = 10; // ms a picture takes from its buffer to the screen, over sound's to the ear
const LONGEST = 400; // ms
const WORTH = 5; // ms; smaller changes are not made

/** Follows the sound of one connection. */
export class PictureDelay {
  #receiver;
  #target = 0;

  /** `receiver` is the RTCRtpReceiver of the pictures. */
  constructor(receiver) {
    this.#receiver = receiver;
  }

  /** `waited`: how long sound waited in its buffer lately, ms; null where that is not known. */
  follow(waited) {
    if (waited === null || !('jitterBufferTarget' in this.#receiver)) return;
    const wanted = Math.round(Math.max(0, Math.min(LONGEST, waited - AFTER_BUFFER)));
    if (Math.abs(wanted - this.#target) < WORTH) return;
    this.#target = wanted;
    this.#receiver.jitterBufferTarget = wanted;
  }
}
