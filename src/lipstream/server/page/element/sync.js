// Keeps lips and voice together in the viewer's browser.
//
// Browsers let sound wait longer than pictures, and align the two slowly and only to within some
// 30 ms: lips run ahead a little, and by more for many seconds after the network or the machine
// was busy. So the jitter buffer target of pictures is raised by as much as the statistics say they
// are early. After a stall a browser keeps pictures up to those 30 ms too long, for good: no target
// makes that shorter, but the target of sound can be raised to match.

const TARGET = 'jitterBufferTarget'; // of a receiver, ms
const MAX_OFFSET = 6; // ms; less is not noticeable
const MAX_PLAUSIBLE = 1_000; // ms; the statistics are meaningless before the first sender report
const GAIN = 0.4; // of the difference that is corrected at each reading; more makes it swing
const MAX_LEAD = 80; // ms by which the target may exceed the measured wait
const INITIAL = 50; // ms until the statistics are known: the wait on a calm line
// ms. Sound that came in bursts after a stall waits for most of a second, until it has been shortened
// pause by pause (Firefox is slow at it): pictures that waited less were seen so much too early.
const MAX_TARGET = MAX_PLAUSIBLE;
// ms. Beyond it the browser itself makes pictures earlier, unless sound has been delayed to match.
const MAX_LIFT = 35;
// Firefox does not, for as long as it remembers how unevenly pictures came while it was stalled itself:
// after so many readings of pictures that are later, sound waits for more.
const PATIENCE = 8;
const MAX_LATE_LIFT = 200; // ms

/** Sets the jitter buffer target of one connection's pictures, or else of its sound. */
export class LipSync {
  #pictures;
  #sound;
  #wait = INITIAL; // ms, the target of pictures
  #lift = 0; // ms by which the target of sound exceeds its own wait
  #late = 0; // readings in a row in which pictures were later than MAX_LIFT, whatever was asked for

  /** Both are RTCRtpReceivers. */
  constructor(pictures, sound) {
    this.#pictures = pictures;
    this.#sound = sound;
    setTarget(pictures, INITIAL);
  }

  /**
   * Takes a reading; each of them ms, or null where the browser does not report it.
   *
   * `late`: pictures against sound. `waited`: pictures, in their buffer. `floor`: how long sound
   * would wait without a target.
   */
  follow(late, waited, floor) {
    if (late === null || waited === null || Math.abs(late) > MAX_PLAUSIBLE) return;
    const step = Math.abs(late) < MAX_OFFSET ? 0 : GAIN * Math.abs(late);
    if (late < 0) this.#delayPictures(step, waited);
    else if (this.#wait) this.#wait = Math.max(Math.min(this.#wait, waited + MAX_LEAD) - step, 0);
    else if (floor !== null && TARGET in this.#sound) this.#liftSound(step, late);
    setTarget(this.#pictures, this.#wait);
    if (floor !== null) setTarget(this.#sound, this.#lift && floor + this.#lift);
  }

  #delayPictures(step, waited) {
    if (this.#lift) {
      this.#lift = Math.max(this.#lift - step, 0);
    } else if (step) {
      // Decoding and display take their part of the target, so it exceeds the measured wait. Where
      // the network makes pictures wait longer anyway, the target must exceed that.
      this.#wait = Math.max(Math.min(this.#wait, waited + MAX_LEAD), waited) + step;
    }
  }

  #liftSound(step, late) {
    this.#late = late > MAX_LIFT ? this.#late + 1 : 0;
    const alone = this.#late > PATIENCE || this.#lift > MAX_LIFT;
    if (late > MAX_LIFT && !alone) this.#lift = 0;
    else this.#lift = Math.min(this.#lift + step, alone ? MAX_LATE_LIFT : MAX_LIFT);
  }
}

function setTarget(receiver, ms) {
  // Browsers without the property keep their own timing.
  if (!(TARGET in receiver)) return;
  const whole = Math.round(Math.min(ms, MAX_TARGET));
  if (receiver[TARGET] !== whole) receiver[TARGET] = whole;
}
