// The adapter's own sentences are English: what it says most often, in Russian. What is not known here stays as it is.

const SENTENCES = [
  [/(\d+) failures? in a row \(threshold (\d+)\)/, "$1 отказов подряд (порог $2)"],
  [/(\d+) of (\d+) calls failed/, "$1 из $2 вызовов не удались"],
  [/(\d+) of (\d+) calls were slow/, "$1 из $2 вызовов были медленными"],
  [/a probe failed after (\d+) of (\d+) successes/, "проба не удалась (до неё успешных $1 из $2)"],
  [/a probe was slow after (\d+) of (\d+) successes/, "проба была медленной (до неё успешных $1 из $2)"],
  [/a probe was overdue after (\d+) of (\d+) successes/, "проба не ответила вовремя (до неё успешных $1 из $2)"],
  [/probing did not decide in time \((\d+) of (\d+) successes\)/, "пробы не решили вовремя (успешных $1 из $2)"],
  [/the open time is over \(open \d+ in a row\)/, "время паузы вышло"],
  [/(\d+) of (\d+) probes succeeded/, "удались $1 из $2 проб"],
  [/^forced open/, "остановлено вручную"],
  [/^forced closed/, "защита отключена вручную"],
  [/^released/, "автоматика возвращена"],
  [/^reset/, "сброшено"],
  [/^(остановлено вручную|защита отключена вручную|автоматика возвращена|сброшено) by ([^:]+)/, "$1, $2"],
  [/its time was over/, "время вышло"],
  [/the OFD is not available: /, "ОФД недоступен: "],
  [/the OFD refuses this device's credentials: /, "ОФД не признаёт доступ этой кассы: "],
  [/the OFD refused the document for good \(code ([^)]*)\): /, "ОФД отверг документ (код $1): "],
  [/the connection was cut after sending: /, "связь оборвалась после отправки: "],
];

export const russian = (text) => SENTENCES.reduce((so_far, [pattern, words]) => so_far.replace(pattern, words), text);
