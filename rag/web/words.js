// What the page says, in two languages. Quotes are never translated.

const WORDS = {
  zh: {
    name: "复函问答", skip: "跳到提问", menu: "菜单", letters: "复函", add: "添加", theme: "明暗", close: "关闭",
    welcome: "问复函，答到原文",
    lead: "每个回答都逐字引自政府复函，点开就能看到那一句。复函没有说的，就直说没有。",
    tryThese: "试着问", yourQuestion: "你的问题", hint: "想知道什么？", send: "提问", stop: "停止",
    reading: "正在查阅复函…", unscope: "改问全部复函", only: (name) => `只问：${name}`,
    sure: ["很有把握", "较有把握", "把握不大，请看原文"], generated: "由语言模型撰写，引文已逐字核对",
    status: { planned: "计划", "under way": "进行中", dropped: "未实施" },
    open: "看原文", copy: "复制回答和出处", link: "复制链接", copied: "已复制", further: "接着问",
    nearest: "复函里最接近的内容", covered: "这些复函能回答，比如", all: (n) => `看全部 ${n} 封复函`,
    refused: "复函没有答案", failed: "出错了", again: "再试一次", lost: "连不上服务，请稍后再试。",
    measures: (n) => `${n} 条措施`, outline: "目录", onlyThis: "只问这封", copyQuote: "复制引文",
    copyLink: "复制链接", nothing: "没有选中文字", from: "答复单位", to: "提案方", date: "成文日期", number: "文号",
    source: "文件", filter: "筛选复函", filterHint: "按标题、单位、日期筛选", more: "更多", none: "没有符合的复函。",
    remove: "删除", removing: (name) => `删除《${name}》？`, removed: "已删除",
    addTitle: "添加复函", key: "密钥", keyNote: "写入需要密钥，由管理员用 rag key new 生成。只在此标签页内记住。",
    drop: "选择文件，或拖到这里", sending: (p) => `上传 ${p}%`, understanding: "正在读懂…", askIt: "问这封",
    warn: {
      no_issuer: "没有找到答复单位", no_date: "没有找到成文日期", no_addressee: "没有找到提案方",
      no_numbering: "没有找到编号，按段落切分",
    },
    replace: "替换同名文件", locked: "需要密钥", go: "继续", empty: "还没有复函", noLetter: "没有这封复函。",
    themes: { auto: "跟随系统", light: "浅色", dark: "深色" },
  },
  en: {
    name: "Letter Q&A", skip: "Skip to the question", menu: "Menu", letters: "Letters", add: "Add", theme: "Light or dark",
    close: "Close", welcome: "Ask the letters, read the source",
    lead: "Every answer is quoted from a government reply letter, word for word; one click shows the sentence. What the letters do not say, it says so.",
    tryThese: "Try", yourQuestion: "Your question", hint: "What would you like to know?", send: "Ask", stop: "Stop",
    reading: "Reading the letters…", unscope: "Ask all letters", only: (name) => `Only: ${name}`,
    sure: ["Very sure", "Fairly sure", "Not sure: read the letter"],
    generated: "Written by a language model; quotes checked word for word",
    status: { planned: "planned", "under way": "under way", dropped: "dropped" },
    open: "Read it there", copy: "Copy with citation", link: "Copy link", copied: "Copied", further: "Ask on",
    nearest: "The nearest the letters come", covered: "These letters do answer, for example",
    all: (n) => `All ${n} letters`, refused: "The letters do not answer", failed: "Something went wrong",
    again: "Try again", lost: "The service cannot be reached; try again soon.", measures: (n) => `${n} measures`,
    outline: "Contents", onlyThis: "Ask only this", copyQuote: "Copy quote", copyLink: "Copy link",
    nothing: "No text is selected", from: "From", to: "To", date: "Date", number: "Number", source: "File",
    filter: "Filter the letters", filterHint: "Title, body, date…", more: "More", none: "No letter matches.",
    remove: "Remove", removing: (name) => `Remove “${name}”?`, removed: "Removed", addTitle: "Add letters", key: "Key",
    keyNote: "Adding needs a key; whoever runs the service makes one with rag key new. Kept in this tab only.",
    drop: "Choose files, or drop them here", sending: (p) => `Uploading ${p}%`, understanding: "Reading…",
    askIt: "Ask this letter",
    warn: {
      no_issuer: "no issuing body found", no_date: "no date found", no_addressee: "no addressee found",
      no_numbering: "no numbering found; cut by paragraphs",
    },
    replace: "Replace the file of that name", locked: "A key is needed", go: "Go on", empty: "No letters yet",
    noLetter: "There is no such letter.", themes: { auto: "As the system", light: "Light", dark: "Dark" },
  },
};

function stored() {
  try {
    return localStorage.getItem("language");
  } catch {
    return null;
  }
}

export let language = stored() ?? (navigator.language.startsWith("zh") || !navigator.language ? "zh" : "en");
if (!WORDS[language]) language = "zh";

/** The words for a name; a function where they take something in. */
export const say = (name) => WORDS[language][name];

export const sureness = (confidence) => say("sure")[confidence >= 0.9 ? 0 : confidence >= 0.7 ? 1 : 2];

/** Put the words of the language into all of the page that is there from the start. */
export function translate(to = language) {
  language = to;
  try {
    localStorage.setItem("language", to);
  } catch {
    // Then it is only for this page.
  }
  document.documentElement.lang = to === "zh" ? "zh-CN" : "en";
  document.title = say("name");
  for (const node of document.querySelectorAll("[data-say]")) node.textContent = say(node.dataset.say);
  for (const node of document.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", say(node.dataset.label));
    node.title = say(node.dataset.label);
  }
  for (const node of document.querySelectorAll("[data-hint]")) node.placeholder = say(node.dataset.hint);
  const other = document.getElementById("language");
  other.textContent = to === "zh" ? "EN" : "中";
  other.lang = to === "zh" ? "en" : "zh-CN";
  other.setAttribute("aria-label", to === "zh" ? "EN: English" : "中文");
}
