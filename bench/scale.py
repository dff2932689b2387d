"""Ten thousand letters: how long the first index takes, what adding and removing one costs, whether answers stay as right.

    .venv/bin/python bench/scale.py [--letters 10000] [--questions 200]

The letters are made up here, each of a town of its own, with twenty measures and the figures of twenty things. Everything is done
by the program as people run it, in processes of their own; the times count from the start of the process. Figures go to
``bench/out/scale.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
RAG = Path(sys.executable).parent / "rag"
FIRST = (
    "青云石松柳白龙凤金银玉梅兰竹菊河江湖海山岭谷溪泉沙林桥关城平安宁永长新丰盛昌明清北南东西高上大小双百"
    "千万福寿康泰和顺祥瑞嘉庆兴隆荣华富贵仁义礼智信德善美真光辉耀阳春夏秋冬雪雨露霜风雷电虹霞星辰日月天"
)
SECOND = (
    "州川阴原陵浦港湾塘坪坝口门台岗坡源泽泾渡津堡寨塔井田野树木花鹿马牛羊鹤雁鱼岩崖峰屏峡滩洲屿浔汀溆涧"
    "潭洼圩垸墩墟坳垭隘垌埠埭堰堤沟渠洞窑窟矿厂店铺集市镇村屯营驿站亭阁楼宫殿寺庙观庵坊巷里坛池苑园圃畔滨汇湄浃漖"
)
BODIES = (
    "民政局",
    "教育局",
    "交通运输局",
    "农业农村局",
    "卫生健康局",
    "文化和旅游局",
    "住房和城乡建设局",
    "人力资源和社会保障局",
)
THINGS = [
    (thing, unit, verb)
    for unit, verb, things in (
        (
            "家",
            "建成",
            "零工驿站 社区食堂 托育园 养老服务站 便民药房 农家书屋 创业基地 快递服务站 共享工坊 日间照料中心",
        ),
        ("座", "建成", "污水处理站 公共厕所 充电站 人行天桥 口袋公园 垃圾中转站 水文站 停车楼 冷库 粮仓"),
        (
            "公里",
            "修建",
            "农村公路 健身步道 供水管道 雨水管网 防洪堤 骑行绿道 灌溉渠道 公交专用道 输电线路 防火通道",
        ),
        (
            "场",
            "举办",
            "专场招聘会 技能比武 送戏下乡演出 健康讲座 法律宣讲 农技培训 读书会 义诊活动 消防演练 就业直播",
        ),
        (
            "台",
            "配备",
            "自动体外除颤器 智能取水机 无障碍扶梯 农用无人机 电子阅报屏 自助办税终端 巡检机器人 健康检测仪 喷灌设备 应急发电车",
        ),
        (
            "万元",
            "投入",
            "校舍修缮资金 河道清淤资金 老屋改造资金 校车运营补贴 困难学生资助金 古树保护资金 图书采购资金 残疾人康复补贴 种粮补贴 应急物资采购资金",
        ),
    )
    for thing in things.split()
]
AIMS = ("完善工作机制", "夯实工作基础", "优化服务供给", "强化要素保障", "健全长效管理")
FILLER = (
    "相关部门多次深入一线调研,广泛听取群众意见,明确了责任单位和完成时限。",
    "同时,加强日常巡查和绩效评估,及时发现并解决存在的问题。",
    "群众的满意程度稳步提高,有关做法在全域推广。",
)
NUMERALS = "一二三四五"


def town(n: int) -> str:
    """The name of the n-th town: two characters, and three where those do not suffice."""
    rest, first = divmod(n, len(FIRST))
    third, second = divmod(rest, len(SECOND))
    return FIRST[first] + SECOND[second] + (SECOND[third - 1] if third else "") + "市"


def write_letter(n: int) -> tuple[str, list[tuple[str, str]]]:
    """Return the n-th letter, and questions about it with their short answers."""
    rng = random.Random(n)
    place, body = town(n), rng.choice(BODIES)
    things = rng.sample(THINGS, 20)
    date = f"{rng.choice((2023, 2024, 2025))}年{rng.randint(2, 12)}月{rng.randint(1, 28)}日"
    lines = [
        f"{place}{body}关于政协第{n + 1}号提案的答复",
        f"{place[:2]}函〔{date[:4]}〕{n + 1}号",
        f"{place[0]}某某委员:",
        f"您提出的《关于改进{place}民生服务的提案》收悉,现答复如下:",
    ]
    asked: list[tuple[str, str]] = []
    for i, aim in enumerate(AIMS):
        lines.append(f"{NUMERALS[i]}、{aim}")
        for j, (thing, unit, verb) in enumerate(things[4 * i : 4 * i + 4]):
            many = rng.randint(11, 989)
            more = rng.randint(2, 10)
            lines.append(
                f"({NUMERALS[j]})推进{thing}工作。{rng.choice(FILLER)}"
                f"截至{rng.randint(2, 12)}月底,{place}累计{verb}{thing}{many}{unit}。"
                f"{rng.choice(FILLER)}下一年度还将安排{more}项配套任务。"
            )
            asked.append((f"{place}{verb}了多少{unit}{thing}?", f"{many}{unit}"))
    lines += ["感谢您对我们工作的关心和支持!", f"{place}{body}", date]
    return "\n".join(lines) + "\n", asked


def run(*command: str | Path, index: Path) -> dict[str, float]:
    """Run a command to its end; return wall and CPU seconds and peak resident memory in MiB."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("RAG_")}
    plain |= {"RAG_INDEX_DIR": str(index), "RAG_SEEDS_DIR": str(index.parent / "seeds")}
    started = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], env=plain, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed")
    return {
        "wall_s": round(time.perf_counter() - started, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mib": round(usage.ru_maxrss / 1024),
    }


def main() -> int:
    """Make the letters, measure, print, write ``bench/out/scale.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = _measure(Path(scratch), options.letters, options.questions)
    report["load"] = os.getloadavg()[0]
    (HERE / "out").mkdir(exist_ok=True)
    (HERE / "out" / "scale.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))
    return 0


def _measure(scratch: Path, letters: int, questions: int) -> dict[str, object]:
    seeds, index = scratch / "seeds", scratch / "index"
    seeds.mkdir()
    for n in range(letters):
        (seeds / f"letter-{n:05}.txt").write_text(write_letter(n)[0], encoding="utf-8")
    report: dict[str, object] = {"letters": letters, "first_index": run(RAG, "index", index=index)}
    print(report, file=sys.stderr)
    report["disk_mib"] = {
        kind: round(sum(p.stat().st_size for p in index.glob(glob) if p.is_file()) / 2**20)
        for kind, glob in (("catalogue", "catalogue.*"), ("generation", "gen-*/**/*"))
    }
    report["index_again"] = run(RAG, "index", index=index)
    new = scratch / "new.txt"
    new.write_text(write_letter(letters)[0], encoding="utf-8")
    report["cold_ask"] = run(RAG, "ask", write_letter(7)[1][0][0], index=index)
    print(report, file=sys.stderr)
    report |= _service(scratch, index, new, letters)
    report["answers"] = _answers(scratch, index, letters, questions)
    report["service_peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return report


def _service(scratch: Path, index: Path, new: Path, letters: int) -> dict[str, object]:
    """Time until a running service answers from a letter that another process adds, and no longer after it removes it."""
    from rag.live import Live
    from rag.settings import Settings

    live = Live(Settings(index_dir=index, seeds_dir=scratch / "seeds", _env_file=None))
    started = time.perf_counter()
    live.engine()
    opened = time.perf_counter() - started
    question, wanted = write_letter(letters)[1][0]
    live.engine().ask(question)
    report: dict[str, object] = {
        "open_s": round(opened, 2),
        "add": [],
        "remove": [],
        "live_add_s": [],
        "live_remove_s": [],
    }
    for n in range(5):
        report["add"].append(_until(live, question, wanted, index, RAG, "add", new))  # type: ignore[attr-defined]
        report["remove"].append(_until(live, question, "", index, RAG, "remove", "new"))  # type: ignore[attr-defined]
        print(n, report, file=sys.stderr)
    for _ in range(5):
        for name, work in (
            ("live_add_s", lambda: live.add([new])),
            ("live_remove_s", lambda: live.remove(["new"])),
        ):
            started = time.perf_counter()
            work()
            report[name].append(round(time.perf_counter() - started, 3))  # type: ignore[attr-defined]
    return report


def _until(live, question: str, wanted: str, index: Path, *command: str | Path) -> dict[str, float]:
    """Run a command; tell its cost, and the time from its start until the service knows, and answers rightly."""
    generation = live.engine().index.generation
    started = time.perf_counter()
    cost = run(*command, index=index)
    while live.engine().index.generation == generation:
        time.sleep(0.005)
    seen = time.perf_counter() - started
    found = live.engine().ask(question)
    assert found.short_answer == wanted, (found.short_answer, wanted, found.reason)
    return {**cost, "known_s": round(seen, 2), "answered_s": round(time.perf_counter() - started, 2)}


def _answers(scratch: Path, index: Path, letters: int, questions: int) -> dict[str, object]:
    """The same questions asked of all letters and of the one letter alone."""
    from rag.embed import open_embedder
    from rag.engine import Engine
    from rag.index import parse_all, update
    from rag.settings import Settings

    settings = Settings(index_dir=index, _env_file=None)
    embedder = open_embedder(settings.embedding_model)
    engine = Engine.open(settings, embedder)
    rng = random.Random(1)
    asked = [(n, *rng.choice(write_letter(n)[1])) for n in (rng.randrange(letters) for _ in range(questions))]
    times, right_all, right_one, same = [], 0, 0, 0
    for number, (n, question, wanted) in enumerate(asked):
        started = time.perf_counter()
        among = engine.ask(question)
        times.append(1000 * (time.perf_counter() - started))
        alone_dir = scratch / f"alone-{number}"
        update(alone_dir, parse_all([scratch / "seeds" / f"letter-{n:05}.txt"]), embedder)
        alone = Engine.open(Settings(index_dir=alone_dir, _env_file=None), embedder).ask(question)
        right_all += among.short_answer == wanted
        right_one += alone.short_answer == wanted
        same += among.short_answer == alone.short_answer
    times.sort()
    return {
        "questions": questions,
        "right_among_all": right_all / questions,
        "right_alone": right_one / questions,
        "same": same / questions,
        "p50_ms": round(statistics.median(times), 1),
        "p99_ms": round(times[int(len(times) * 0.99)], 1),
    }


if __name__ == "__main__":
    sys.exit(main())
