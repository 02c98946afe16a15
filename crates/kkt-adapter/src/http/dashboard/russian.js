// The adapter's own sentences are English: what it says most often, in Russian. What is not known here stays as it is.
// Numbers stand where no word has to agree with them.

const SENTENCES = [
  [/(\d+) failures? in a row \(threshold (\d+)\)/, "отказов подряд: $1 (порог $2)"],
  [/(\d+) of (\d+) calls failed/, "неудачных вызовов: $1 из $2"],
  [/(\d+) of (\d+) calls were slow/, "медленных вызовов: $1 из $2"],
  [/a probe failed after (\d+) of (\d+) successes/, "проба не удалась (до неё удачных: $1 из $2)"],
  [/a probe was slow after (\d+) of (\d+) successes/, "проба была медленной (до неё удачных: $1 из $2)"],
  [/a probe was overdue after (\d+) of (\d+) successes/, "проба не ответила вовремя (до неё удачных: $1 из $2)"],
  [/probing did not decide in time \((\d+) of (\d+) successes\)/, "пробы не дали ответа вовремя (удачных: $1 из $2)"],
  [/the open time is over \(open \d+ in a row\)/, "время паузы вышло"],
  [/(\d+) of (\d+) probes succeeded/, "удачных проб: $1 из $2"],
  [/the ramp is completed/, "полная нагрузка возвращена"],
  [/^forced open/, "остановлено вручную"],
  [/^forced closed/, "защита отключена вручную"],
  [/^set to metrics only/, "включено только наблюдение"],
  [/^released/, "автоматика возвращена"],
  [/^reset/, "сброшено"],
  [/^(остановлено вручную|защита отключена вручную|включено только наблюдение|автоматика возвращена|сброшено) by ([^:]+)/, "$1 ($2)"],
  [/its time was over/, "время вышло"],
  [/^set aside by ([^:]+): /, "отложен ($1): "],
  [/given up after (\d+) attempts, while others passed: /, "не прошёл (попыток: $1), а другие проходили: "],
  [/the OFD is not available: /, "ОФД недоступен: "],
  [/the OFD refuses this device's credentials: /, "ОФД не признаёт доступ этой кассы: "],
  [/the OFD refused the document for good \(code ([^)]*)\): /, "ОФД отклонил документ (код $1): "],
  [/the connection was cut after sending: /, "связь оборвалась после отправки: "],
  [/the OFD has it: /, "у ОФД он есть: "],
  [/the ERP answered HTTP /, "учётная система ответила HTTP "],
  [/no answer in time/, "нет ответа вовремя"],
  [/no answer within (\d+) ms/, "нет ответа за $1 мс"],
  [/the answer was not whole within (\d+) ms/, "ответ не пришёл целиком за $1 мс"],
  [/the answer does not say accepted/, "в ответе нет подтверждения"],
  [/connection refused(?: \(os error \d+\))?/i, "в соединении отказано"],
  [/connection reset by peer(?: \(os error \d+\))?/i, "соединение сброшено"],
];

export const russian = (text) => SENTENCES.reduce((so_far, [pattern, words]) => so_far.replace(pattern, words), text);
