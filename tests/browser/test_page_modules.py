"""Single functions of the page's own modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import Chromium
from tests.browser.test_modules import call

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.alone


def test_a_card_is_cut_around_the_face(chromium: Chromium, page: Page) -> None:
    places = [
        ([0.25, 0.5], 2, 1, "0% 50%"),
        ([0.5, 0.5], 2, 1, "50% 50%"),
        ([0.9, 0.5], 2, 1, "100% 50%"),
        ([0.4, 0.5], 2, 1, "30% 50%"),
        ([0.5, 0.2], 1, 2, "50% 0%"),
        ([0.1, 0.1], 1, 1, "50% 50%"),
        (None, 2, 1, "50% 50%"),
    ]
    given = [place[:3] for place in places]
    expression = "given.map((one) => module.squareAround(...one))"
    found = call(chromium, page, "avatars/framing.js", expression, *given)
    assert found == [place[3] for place in places]


def test_files_without_a_type_are_told_by_their_names(chromium: Chromium, page: Page) -> None:
    names = ["voice.opus", "A.HEIC", "clip.mkv", "notes.txt", "noname"]
    expression = "given.map((name) => module.kind({ name, type: '' }))"
    found = call(chromium, page, "drops.js", expression, *names)
    assert found == ["sound", "face", "face", "other", "other"]


def test_a_sentence_begins_with_a_capital_or_with_the_users_own_name(
    chromium: Chromium, page: Page
) -> None:
    given = [["no face was found.", "a.png"], ["a.png is empty.", "a.png"], ["it is.", None]]
    expression = "given.map((one) => module.sentence(...one))"
    found = call(chromium, page, "notices.js", expression, *given)
    assert found == ["No face was found.", "a.png is empty.", "It is."]


def test_what_may_not_be_stored_is_remembered_until_the_page_is_left(
    chromium: Chromium, page: Page
) -> None:
    script = """{
      const { setItem } = Storage.prototype;
      Storage.prototype.setItem = () => { throw new DOMException('no', 'SecurityError'); };
      module.remember('volume', 0.3);
      Storage.prototype.setItem = setItem;
      return [module.recall('volume', 1), module.recall('muted', false)];
    }"""
    assert call(chromium, page, "preferences.js", script) == [0.3, False]


def test_people_are_told_that_they_are_recorded(chromium: Chromium, page: Page) -> None:
    given = [("live", True), ("live", False), ("connecting", True), ("idle", None), ("live", None)]
    expression = "given.map(([state, session]) => module.stateText({ state, session }))"
    kept = [
        (state, recorded if recorded is None else {"recorded": recorded})
        for state, recorded in given
    ]
    found = call(chromium, page, "stage.js", expression, *kept)
    assert found == ["Live, recorded", "Live", "Connecting…", "", "Live"]


def test_what_another_tab_has_stored_counts(chromium: Chromium, page: Page) -> None:
    script = """{
      module.remember('device', 'here');
      localStorage.setItem('lipstream-device', '"there"');
      return module.recall('device');
    }"""
    assert call(chromium, page, "preferences.js", script) == "there"


def test_of_many_uploads_the_oldest_is_forgotten(chromium: Chromium, page: Page) -> None:
    script = """{
      for (let i = 0; i < 70; i++) module.keepUpload(`id${i}`);
      module.forgetUpload('id69');
      const kept = module.ownUploads();
      return [kept.length, kept[0], kept.at(-1)];
    }"""
    assert call(chromium, page, "avatars/own-uploads.js", script) == [63, "id6", "id68"]
