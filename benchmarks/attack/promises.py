"""What SECURITY.md promises a viewer while others attack, and the table of what was seen."""

from __future__ import annotations

from benchmarks.attack.run import Result, Row

FACTOR = 2  # times the quiet time's own figures
MIN_GAP_MS = 120  # three frames: below it a gap is what chance makes on a busy machine
MIN_LATE = 0.02  # of the frames: the same
MAX_GROWTH = 10 << 20  # bytes of the server's own process after the warm-up
MIN_JUDGED_S = 4.0  # 100 frames
MAX_FILES_LEFT = 10
OWN_LOG = 1024  # bytes that the server may log of itself meanwhile
HEAD = (
    f"{'attack':<22}{'s':>6}{'late %':>8}{'gap ms':>8}{'files':>7}{'MB':>7}{'sent kB':>10}"
    f"{'log kB':>8}{'log/sent':>10}{'probes':>8}{'failed':>8}"
)


def broken(result: Result) -> list[str]:
    """One sentence for each promise about counts that was broken."""
    found = [f"the viewer's process: {error}" for error in result.errors]
    if result.states != {"connected"}:
        found.append(f"the viewer's session was {', '.join(sorted(result.states)) or 'not seen'}.")
    for row in result.rows:
        if row.watched.failed:
            found.append(f"{row.name}: {row.watched.failed} probes were not answered with 200.")
        if row.logged > row.sent + OWN_LOG:
            found.append(f"{row.name}: {row.logged} bytes of log for {row.sent} received.")
    left = result.rows[-1].files - result.rows[0].files
    if left > MAX_FILES_LEFT:
        found.append(f"{left} more files are open at the end than in the quiet time.")
    if result.warm_rss is not None:
        growth = result.rows[-1].rss - result.warm_rss
        if growth >= MAX_GROWTH:
            found.append(f"the server grew by {growth / 1e6:.1f} MB after the warm-up.")
    return found


def missed(result: Result) -> list[str]:
    """One sentence for each part in which the viewer saw less than is promised.

    A share of late frames says nothing about some ten frames: short parts are judged together.
    """
    quiet, *attacks = result.rows
    gap = max(FACTOR * quiet.watched.gap_ms, MIN_GAP_MS)
    late = max(FACTOR * quiet.watched.late, MIN_LATE)
    found = [
        f"{row.name}: no picture for {row.watched.gap_ms} ms; {gap} are promised."
        for row in attacks
        if row.watched.gap_ms > gap
    ]
    brief = [row.watched for row in attacks if row.watched.seconds < MIN_JUDGED_S]
    shares = {row.name: row.watched.late for row in attacks if row.watched not in brief}
    if brief:
        seconds = sum(seen.seconds for seen in brief)
        shares["one by one"] = sum(seen.late * seen.seconds for seen in brief) / seconds
    for name, share in shares.items():
        if share > late:
            found.append(f"{name}: {share:.1%} of the frames late; {late:.1%} are promised.")
    return found


def table(result: Result) -> str:
    """A row for each part, to be printed."""
    lines = [HEAD, *(_line(row) for row in result.rows)]
    if result.warm_rss is not None:
        growth = (result.rows[-1].rss - result.warm_rss) / 1e6
        lines.append(f"after the warm-up {result.warm_rss / 1e6:.1f} MB, at the end {growth:+.1f}.")
    return "\n".join(lines)


def _line(row: Row) -> str:
    seen = row.watched
    ratio = f"{row.logged / row.sent:.4f}" if row.sent else "-"
    return (
        f"{row.name:<22}{seen.seconds:6.1f}{100 * seen.late:8.2f}{seen.gap_ms:8d}{row.files:7d}"
        f"{row.rss / 1e6:7.1f}{row.sent / 1e3:10.1f}{row.logged / 1e3:8.1f}{ratio:>10}"
        f"{seen.probes:8d}{seen.failed:8d}  {row.outcome}".rstrip()
    )
