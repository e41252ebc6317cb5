"""A section of a config whose settings are taken one by one, so that none is forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nlp_pipeline.errors.spacy_llm import SettingUnreadable, no_counterpart


class ConfigSection:
    """The settings of a section that nothing has taken so far.

    Args:
        place: Its name, with those of the sections around it.
        values: Its settings.
        remarks: Gets a line for each setting that is left over.
    """

    def __init__(self, place: str, values: Mapping[str, Any], remarks: list[str]) -> None:
        self.place = place
        self.remarks = remarks
        self._values = dict(values)

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def holds(self, name: str, value: Any) -> bool:
        """Whether a setting that nothing has taken has this very value."""
        return bool(self._values.get(name) == value)

    def take(self, name: str, default: Any = None) -> Any:
        """A setting's value, which is dealt with now; the default where there is none, or null."""
        value = self._values.pop(name, None)
        return default if value is None else value

    def take_section(self, name: str) -> ConfigSection:
        """A section within this one; an empty one where there is none.

        Raises:
            SettingUnreadable: It is no section.
        """
        values = self.take(name, {})
        if not isinstance(values, Mapping):
            raise SettingUnreadable(f"{self.place}.{name}", values, "a section")
        return ConfigSection(f"{self.place}.{name}", values, self.remarks)

    def take_flag(self, name: str, default: bool) -> bool:
        """A setting that is true or false, also as spacy-llm's own examples write it: `True`.

        Raises:
            SettingUnreadable: It is something else.
        """
        value = self.take(name, default)
        flag = {"true": True, "false": False}.get(str(value).strip().lower())
        if flag is None:
            raise SettingUnreadable(f"{self.place}.{name}", value, "true or false")
        return flag

    def take_count(self, name: str) -> int:
        """A setting that is a whole number of at least 1, also as a text.

        Raises:
            SettingUnreadable: It is something else.
        """
        value = self.take(name)
        count = int(value) if str(value).isascii() and str(value).isdecimal() else 0
        if count < 1:
            raise SettingUnreadable(f"{self.place}.{name}", value, "a whole number of at least 1")
        return count

    def take_labels(self, name: str = "labels") -> list[str]:
        """Labels, from a list or from a text with commas between them.

        Raises:
            SettingUnreadable: They are neither.
        """
        value = self.take(name, [])
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            allowed = "a list of texts, or a text with commas between the labels"
            raise SettingUnreadable(f"{self.place}.{name}", value, allowed)
        return [item.strip() for item in items if item.strip()]

    def take_texts(self, name: str) -> dict[str, str]:
        """A section of texts, such as `label_definitions`.

        Raises:
            SettingUnreadable: It is none.
        """
        values = self.take(name, {})
        if not isinstance(values, Mapping) or not all(isinstance(v, str) for v in values.values()):
            raise SettingUnreadable(f"{self.place}.{name}", values, "a section of texts")
        return {str(key).strip("\"'"): text.strip().rstrip(",") for key, text in values.items()}

    def leave(self, reasons: Mapping[str, str]) -> None:
        """Says of every setting that nothing has taken that it is left out; null is no setting.

        Args:
            reasons: Why, by the settings' names.
        """
        for name, value in self._values.items():
            if value is not None and value != {}:
                place = f"{self.place}.{name}"
                self.remarks.append(no_counterpart(place, reasons.get(name)))
        self._values.clear()
