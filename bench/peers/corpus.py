"""The letters and the questions: the letter in ``seeds/`` and variations of it, each of another town and with other figures."""

from __future__ import annotations

import random
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOWN = "武汉"
_FIRST = "青云石松柳白龙凤金银玉梅兰竹菊江湖海山岭谷溪泉沙林桥关城平安宁永长新丰盛昌明清北"
_SECOND = "州川阴原陵浦港湾塘坪坝口门台岗坡源泽泾渡津堡寨塔井田野树木花鹿马牛羊鹤雁鱼岩崖峰"
_FIGURE = re.compile(r"(?P<date>20[0-3]\d年?|\d+月(?:\d+日)?)|\d+")
_ASKED = (
    "{town}建了多少家零工驿站?",
    "{town}今年一季度生产总值是多少?",
    "{town}走访了多少家企业?",
    "{town}举办了多少场招商活动?",
    "{town}大学生创业孵化载体有多少?",
    "{town}怎样支持灵活就业?",
    "{town}对残疾人就业有什么帮扶?",
    "{town}开展了多少人次的职业技能培训?",
    "{town}人力资源市场秩序怎么管?",
    "{town}企业技能人才评价有什么进展?",
    "How many gig worker stations does {town} have?",
    "{town}网上能办哪些就业业务?",
)


def town(number: int) -> str:
    """The town of a letter; that of the seed for number 0."""
    if number == 0:
        return TOWN
    one, two = divmod(number * 7 % (len(_FIRST) * len(_SECOND)), len(_SECOND))
    return _FIRST[one] + _SECOND[two]


def letter(number: int, seed: str) -> str:
    """The seed letter itself, or a variation: another town, other figures; years and dates stay."""
    if number == 0:
        return seed
    rng = random.Random(number)

    def other(found: re.Match[str]) -> str:
        digits = found[0]
        if found["date"]:
            return digits
        return str(rng.randrange(1, 10)) + "".join(rng.choices("0123456789", k=len(digits) - 1))

    return _FIGURE.sub(other, seed).replace(TOWN, town(number))


def write(folder: Path, count: int) -> int:
    """Write so many letters into a folder; return their characters."""
    folder.mkdir(parents=True)
    seed = next((ROOT / "seeds").glob("*.txt")).read_text(encoding="utf-8").strip()
    total = 0
    for number in range(count):
        text = letter(number, seed)
        total += len(text)
        (folder / f"letter-{number:05}.txt").write_text(text + "\n", encoding="utf-8")
    return total


def questions(letters: int, count: int) -> list[str]:
    """Questions about these letters, every kind in turn."""
    rng = random.Random(5)
    return [_ASKED[n % len(_ASKED)].format(town=town(rng.randrange(letters))) for n in range(count)]
