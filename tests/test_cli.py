"""The command line, run as people run it: in a process of its own, in any folder.

Contract: data on stdout, everything else on stderr; ``--json`` prints JSON and nothing else; exit 0 answered or
refused, 1 an error of one line that says what was found and what to type next, 2 wrong usage.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import LETTERS, SEEDS, clean_environment, run_python

from rag.cli import main
from rag.store import CURRENT

ASKED = "零工驿站建了多少家?"
QUOTE = "截至目前,全市建成零工驿站63家。"
HELD = (
    "ask",
    "chat",
    "search",
    "index",
    "add",
    "remove",
    "letters",
    "eval",
    "train",
    "doctor",
    "serve",
    "mcp",
    "key",
)


def settings_of(seed_library, given):
    """Small names are settings, capitals are variables as they stand."""
    return {
        "RAG_INDEX_DIR": str(seed_library),
        "RAG_SEEDS_DIR": str(SEEDS),
        **{f"RAG_{k.upper()}" if k.islower() else k: str(v) for k, v in given.items()},
    }


@pytest.fixture
def rag(tmp_path, seed_library):
    """Run ``rag`` in a process of its own, in an empty folder, over the seed letter's index."""

    def run(*arguments, **given):
        settings = settings_of(seed_library, given)
        return run_python("-m", "rag.cli", *arguments, cwd=tmp_path, **settings)

    return run


@pytest.fixture
def call(monkeypatch, capsys, seed_library):
    """The same in this process, where nothing depends on how a process starts and ends."""

    def run(*arguments, **given):
        with monkeypatch.context() as patch:
            for name, value in settings_of(seed_library, given).items():
                patch.setenv(name, value)
            try:
                code = main(arguments)
            except SystemExit as end:
                code = end.code
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run


def assert_error(done, *said):
    """An error: exit 1, nothing on stdout, one line on stderr that holds what it should say."""
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("rag: ")
    assert [s for s in said if s not in line] == []


def assert_usage(done):
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: ")


def test_answer_for_a_person_says_what_and_where(rag):
    done = rag("ask", ASKED)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "63家"
    assert lines[1] == f"{QUOTE}[1]"
    assert lines[3] == ("[1] 武汉市人力资源和社会保障局 · 2025-07-31 · wuhan-hrss-2025-07-31.txt")
    assert lines[4] == ("    三、完善就业帮扶机制,兜牢困难群体民生底线 › (一)大力支持灵活就业。")
    assert QUOTE in lines[5]


def test_answer_for_a_program_is_json_and_nothing_else(rag):
    done = rag("ask", ASKED, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert (answer["short_answer"], answer["refused"]) == ("63家", False)
    assert answer["citations"][0]["path"] == "三/(一)"
    assert "\\u" not in done.stdout


def test_refusal_is_no_error(call):
    done = call("ask", "柳川县有多少家零工驿站?")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("现有复函没有提到“柳川县”")
    assert done.stdout.count("\n") == 1


def test_one_letter_and_the_number_of_measures_may_be_given(call):
    done = call("ask", ASKED, "--json", "--letter", "wuhan-hrss-2025-07-31", "-k", "1")
    assert json.loads(done.stdout)["short_answer"] == "63家"


def test_batch_keeps_ids_and_order_and_goes_on_after_a_bad_question(rag, tmp_path):
    rows = [{"id": n, "question": q} for n, q in ((7, ASKED), ("x", "你好"), (1, " "), (9, ASKED))]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "questions.jsonl").write_text(text, encoding="utf-8")
    done = rag("ask", "--batch", "questions.jsonl", "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [row["id"] for row in found] == [7, "x", 1, 9]
    assert [row.get("short_answer") for row in found] == ["63家", "", None, "63家"]
    assert "empty" in found[2]["error"]


def test_batch_for_a_person_shows_each_question_over_its_answer(call, tmp_path):
    row = json.dumps({"id": "a1", "question": ASKED}, ensure_ascii=False)
    (tmp_path / "questions.jsonl").write_text(row, encoding="utf-8")
    done = call("ask", "--batch", "questions.jsonl")
    assert done.stdout.splitlines()[:2] == [f"a1 {ASKED}", "63家"]


def test_batch_goes_on_after_characters_that_are_none(rag, tmp_path):
    rows = [{"id": 1, "question": "\ud800?"}, {"id": "\ud800", "question": ASKED}]
    text = "".join(json.dumps(row) + "\n" for row in [*rows, {"id": 3, "question": ASKED}])
    (tmp_path / "questions.jsonl").write_text(text, encoding="utf-8")
    done = rag("ask", "--batch", "questions.jsonl", "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert [row.get("short_answer") for row in found] == [None, "63家", "63家"]
    assert "broken characters" in found[0]["error"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("not json\n", "line 1"), ('{"id": 1}\n', "row 1"), ('{"question": 5}\n', "row 1")],
)
def test_batch_file_that_is_none_is_an_error_by_line(call, tmp_path, text, said):
    (tmp_path / "questions.jsonl").write_text(text, encoding="utf-8")
    assert_error(call("ask", "--batch", "questions.jsonl", "--json"), said, "questions.jsonl")


def test_search_shows_measures_best_first(call):
    done = call("search", "零工驿站", "-k", "2")
    assert done.returncode == 0
    first = done.stdout.splitlines()[0]
    assert first.startswith("1. 三、完善就业帮扶机制,兜牢困难群体民生底线 › (一)大力支持灵活就业。")


def test_search_as_json_is_a_list_of_hits(call):
    found = json.loads(call("search", "零工驿站", "-k", "2", "--json").stdout)
    assert found[0]["path"] == "三/(一)"
    assert len(found) == 2


def test_letters_are_listed_one_a_line(call):
    done = call("letters")
    assert done.stdout == (
        "wuhan-hrss-2025-07-31\t2025-07-31\t武汉市人力资源和社会保障局\t"
        "关于强化就业优先导向,促进高质量充分就业的建议\n"
    )
    assert json.loads(call("letters", "--json").stdout)[0]["measure_count"] == 20


def test_letter_is_shown_with_its_measures(call):
    done = call("letters", "wuhan-hrss-2025-07-31")
    assert "issuer: 武汉市人力资源和社会保障局" in done.stdout
    assert "  三/(一)\t(一)大力支持灵活就业。" in done.stdout
    detail = json.loads(call("letters", "wuhan-hrss-2025-07-31", "--json").stdout)
    assert len(detail["measures"]) == 20


def test_index_is_built_updated_and_told_about_on_stderr(call, tmp_path):
    first = call("index", index_dir="mine", seeds_dir=LETTERS)
    again = call("index", index_dir="mine", seeds_dir=LETTERS)
    fewer = call("index", str(LETTERS / "dongze-env.txt"), index_dir="mine")
    assert [d.returncode for d in (first, again, fewer)] == [0, 0, 0]
    assert [d.stdout for d in (first, again, fewer)] == ["", "", ""]
    assert first.stderr == "8 letters, 71 measures in mine (8 added)\n"
    assert again.stderr == "8 letters, 71 measures in mine (8 unchanged)\n"
    assert fewer.stderr == "1 letters, 7 measures in mine (1 unchanged, 7 removed)\n"
    assert (tmp_path / "mine" / CURRENT).exists()


def test_letter_is_added_and_removed_and_told_about_on_stderr(call, tmp_path, seed_library):
    mine = shutil.copytree(seed_library, tmp_path / "mine")
    file = str(LETTERS / "dongze-env.txt")
    added, again = (call("add", file, index_dir=mine) for _ in range(2))
    removed = call("remove", "dongze-env", index_dir=mine)
    assert [d.returncode for d in (added, again, removed)] == [0, 0, 0]
    assert [d.stdout for d in (added, again, removed)] == ["", "", ""]
    assert added.stderr == f"2 letters, 27 measures in {mine} (1 added)\n"
    assert again.stderr == f"2 letters, 27 measures in {mine} (1 unchanged)\n"
    assert removed.stderr == f"1 letters, 20 measures in {mine} (1 removed)\n"


def test_same_letter_under_another_name_is_told(call, tmp_path, seed_library):
    mine = shutil.copytree(seed_library, tmp_path / "mine")
    shutil.copyfile(SEEDS / "wuhan-hrss-2025-07-31.txt", tmp_path / "other.txt")
    done = call("add", "other.txt", index_dir=mine)
    assert done.stderr.splitlines()[1] == "other.txt: known already, as wuhan-hrss-2025-07-31"


def test_report_of_adding_is_json_where_a_program_reads(call, tmp_path, seed_library):
    mine = shutil.copytree(seed_library, tmp_path / "mine")
    report = json.loads(call("add", str(LETTERS / "dongze-env.txt"), "--json", index_dir=mine).stdout)
    assert (report["letters"], report["measures"], report["failed"]) == (2, 27, [])
    assert report["arrivals"] == [{"letter_id": "dongze-env", "what": "added", "source": "dongze-env.txt"}]


def test_one_bad_file_of_several_is_named_and_the_exit_is_1(call, tmp_path, seed_library):
    mine = shutil.copytree(seed_library, tmp_path / "mine")
    (tmp_path / "bad.txt").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = call("add", "bad.txt", str(LETTERS / "dongze-env.txt"), index_dir=mine)
    assert done.returncode == 1
    assert "rag: bad.txt is a PNG picture" in done.stderr
    assert "(1 added, 1 failed)" in done.stderr


def test_older_version_of_a_letter_can_be_shown(call, tmp_path):
    file = tmp_path / "a.txt"
    for n in (3, 4):
        file.write_text(f"某委员:\n一、建站点。建成{n}个。\n二、办培训。办5期。\n", encoding="utf-8")
        assert call("index", "a.txt", index_dir="mine").returncode == 0
    shown = json.loads(call("letters", "a", "--versions", "--json", index_dir="mine").stdout)
    assert [(v["current"], v["text"].split("。")[1]) for v in shown] == [
        (True, "建成4个"),
        (False, "建成3个"),
    ]
    assert call("letters", "a", "--versions", index_dir="mine").stdout.startswith("# answers, came 20")
    assert_error(call("letters", "zzz", "--versions", index_dir="mine"), "'zzz'")


def test_letter_that_is_not_there_cannot_be_removed(call):
    assert_error(call("remove", "zzz"), "'zzz'", "rag letters")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("add",),
        ("remove",),
        ("ask",),
        ("ask", ASKED, "--batch", "x.jsonl"),
        ("ask", ASKED, "-k", "0"),
        ("ask", ASKED, "-k", "51"),
        ("ask", ASKED, "-k", "many"),
        ("ask", ASKED, "--nonsense"),
        ("search",),
        ("eval",),
        ("train", "nonsense", "--data", "."),
    ],
)
def test_wrong_usage_is_exit_2(call, arguments):
    assert_usage(call(*arguments))


def test_help_names_every_command(call):
    done = call("--help")
    assert done.returncode == 0
    assert [c for c in HELD if c not in done.stdout] == []


@pytest.mark.parametrize(
    ("question", "said"),
    [("", "the question is empty"), ("  ", "empty"), ("问" * 30_000, "30,000 characters")],
)
def test_question_that_cannot_be_asked_is_an_error(call, question, said):
    assert_error(call("ask", question), said)


def test_question_of_100_000_characters_is_an_error(rag):
    assert_error(rag("ask", "a" * 100_000), "100,000 characters", "at most 2,000")


def test_unknown_letter_is_an_error(call):
    assert_error(call("ask", ASKED, "--letter", "zzz"), "'zzz'", "rag letters")
    assert_error(call("letters", "zzz"), "'zzz'", "rag letters")


def test_missing_index_is_an_error_that_says_how_to_build_it(rag):
    assert_error(rag("ask", ASKED, index_dir="none"), "no index in none", "rag index")


def test_foreign_folder_is_an_error(call, tmp_path):
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "holiday.jpg").write_text("x", encoding="utf-8")
    assert_error(call("ask", ASKED, index_dir="foreign"), "holiday.jpg", "rag index --rebuild")


def test_half_written_index_is_an_error_and_a_rebuild_repairs_it(call, tmp_path, seed_library):
    broken = shutil.copytree(seed_library, tmp_path / "broken")
    (file,) = broken.glob("gen-*/seg-*/measures.faiss")
    file.write_bytes(file.read_bytes()[:100])
    assert_error(call("ask", ASKED, index_dir=broken), "measures.faiss", "rag index --rebuild")
    assert_error(call("index", index_dir=broken), "rag index --rebuild")
    assert call("index", "--rebuild", index_dir=broken).returncode == 0
    assert call("ask", ASKED, index_dir=broken).stdout.startswith("63家\n")


def test_picture_under_a_text_name_is_an_error(rag, tmp_path):
    (tmp_path / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert_error(rag("index", "picture.txt", index_dir="mine"), "picture.txt is a PNG picture")
    assert not (tmp_path / "mine" / CURRENT).exists()


def test_path_that_does_not_exist_is_an_error(call):
    assert_error(call("index", "absent.txt", index_dir="mine"), "absent.txt does not exist")


def test_setting_that_makes_no_sense_is_an_error_that_names_it(rag):
    assert_error(rag("ask", ASKED, top_k="many"), "RAG_TOP_K", "'many'")


def test_model_that_cannot_be_opened_is_an_error(call, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "modules.json").write_text(
        '[{"type": "a.StaticEmbedding", "idx": 0}, {"type": "a.Normalize", "idx": 1}]',
        encoding="utf-8",
    )
    (tmp_path / "model" / "model.safetensors").write_bytes(b"")
    assert_error(call("ask", ASKED, embedding_model="model"), "model.safetensors")


def test_folder_that_cannot_be_written_is_an_error(call, tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert_error(call("index", index_dir="file"), "file")


def test_settings_may_stand_in_a_dotenv_file(tmp_path, seed_library):
    (tmp_path / ".env").write_text(f"RAG_INDEX_DIR={seed_library}\n", encoding="utf-8")
    done = run_python("-m", "rag.cli", "ask", ASKED, cwd=tmp_path)
    assert done.stdout.startswith("63家\n")


def test_dotenv_file_that_is_no_text_is_an_error(call, tmp_path):
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    assert_error(call("ask", ASKED), ".env")


def test_json_is_whole_where_the_terminal_knows_ascii_only(rag):
    done = rag("ask", ASKED, "--json", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["short_answer"] == "63家"


def test_answer_is_shown_where_the_terminal_knows_ascii_only(rag):
    done = rag("ask", ASKED, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("63")


def test_arguments_that_are_no_text_are_an_error(rag):
    assert_error(rag("ask", b"\xff\xfe?"), "broken characters")


def test_full_disk_under_the_output_is_an_error(tmp_path, seed_library):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rag.cli", "letters"],
            cwd=tmp_path,
            env=clean_environment(RAG_INDEX_DIR=str(seed_library)),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_is_content_with_a_whole_index(call):
    done = call("doctor", "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["problems"] == []
    assert "1 letters, 20 measures" in report["facts"]["index"]


def test_doctor_reports_every_problem_and_exits_1(call):
    done = call("doctor", "--json", index_dir="none", prompts_dir="none")
    assert done.returncode == 1
    first, second = json.loads(done.stdout)["problems"]
    assert "run: rag index" in first
    assert "refusals.toml" in second


def test_doctor_sees_a_lexicon_and_keys_that_cannot_be_read(call, tmp_path):
    (tmp_path / "keys.json").write_text("{", encoding="utf-8")
    done = call("doctor", "--json", lexicon=tmp_path / "none.yaml", keys_file=tmp_path / "keys.json")
    assert done.returncode == 1
    first, second = json.loads(done.stdout)["problems"]
    assert "none.yaml cannot be used" in first
    assert "make new ones: rag key new" in second


def test_number_that_is_none_is_told_in_plain_words(call):
    done = call("search", "x", "-k", "many")
    assert done.returncode == 2
    assert "'many' is not a whole number between 1 and 50" in done.stderr


def test_eval_of_answers(call, tmp_path):
    rows = [
        {
            "question": ASKED,
            "answer": ["63家"],
            "letter": "wuhan-hrss-2025-07-31",
            "path": "三/(一)",
        },
        {"question": "柳川县有多少家零工驿站?", "refuse": True},
    ]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "qa.jsonl").write_text(text, encoding="utf-8")
    done = call("eval", "qa.jsonl", "--json")
    told = json.loads(done.stdout)
    assert {n: told[n] for n in ("questions", "measure_first", "answer", "short_answer", "refused")} == {
        "questions": 2,
        "measure_first": 1.0,
        "answer": 1.0,
        "short_answer": 1.0,
        "refused": 1.0,
    }
    assert (told["citations_exact"], told["numbers_unproved"], told["wrongly_refused"]) == (1.0, 0, 0.0)


def test_eval_of_retrieval(call, tmp_path):
    folder = tmp_path / "beir"
    folder.mkdir()
    texts = {"p1": "全市建成零工驿站63家。", "p2": "东泽湖水质持续改善。", "p3": "公交换乘减免1元。"}
    corpus = [json.dumps({"id": i, "text": t}, ensure_ascii=False) for i, t in texts.items()]
    queries = ['{"id": "q1", "text": "湖的水质"}', '{"id": "q2", "text": "零工驿站"}']
    (folder / "corpus.jsonl").write_text("\n".join(corpus), encoding="utf-8")
    (folder / "queries.jsonl").write_text("\n".join(queries), encoding="utf-8")
    (folder / "qrels.tsv").write_text("q\tp\tgrade\nq1\tp2\t1\nq2\tp1\t1\n", encoding="utf-8")
    done = call("eval", "--beir", "beir", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "ndcg@10": 1.0,
        "recall@1": 1.0,
        "recall@10": 1.0,
        "mrr@10": 1.0,
    }


def test_eval_of_a_file_that_is_not_there_is_an_error(call):
    assert_error(call("eval", "absent.jsonl"), "absent.jsonl")
    assert_error(call("eval", "--beir", "absent"), "corpus.jsonl")


def test_colour_is_bold_for_the_short_answer_and_a_mark_for_the_quote(call):
    done = call("ask", ASKED, FORCE_COLOR="1")
    assert done.stdout.startswith("\033[1m63家\033[0m\n")
    assert f"\033[30;43m{QUOTE}\033[0m" in done.stdout


def test_no_colour_goes_into_a_pipe_or_where_it_is_not_wanted(call):
    assert "\033" not in call("ask", ASKED).stdout
    assert "\033" not in call("ask", ASKED, NO_COLOR="1").stdout


def test_ask_loads_neither_torch_nor_langchain_nor_fastapi(tmp_path, seed_library):
    code = (
        "import sys; from rag.cli import main; code = main(['ask', sys.argv[1]]); "
        "heavy = {'torch', 'langchain', 'langchain_core', 'sentence_transformers', 'transformers',"
        " 'fastapi', 'datasets'}; "
        "print(code, sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = run_python("-c", code, ASKED, cwd=tmp_path, RAG_INDEX_DIR=str(seed_library))
    assert done.stdout.startswith("63家\n")
    assert done.stderr == "0 []\n"


def test_reader_that_closes_the_pipe_early_is_no_error(tmp_path, seed_library):
    command = '"$0" -m rag.cli letters wuhan-hrss-2025-07-31 --json | head -c 1; echo ${PIPESTATUS[0]}'
    done = subprocess.run(
        ["bash", "-c", command, sys.executable],
        cwd=tmp_path,
        env=clean_environment(RAG_INDEX_DIR=str(seed_library)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "{0\n"
    assert done.stderr == ""
